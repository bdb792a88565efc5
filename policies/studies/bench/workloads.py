"""What `bazaar bench` repeats: rounds of the market, of its environments and of training, and how each is counted.

Dimensions: M markets side by side, N sellers, K sets of orders taken in turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from market.envs.parallel import parallel_env
from market.errors import UserError
from market.simulation.batch import MarketBatch
from market.simulation.decisions import Decisions
from market.simulation.observation import feature_list
from market.spec.models import MarketSpec
from market.state import Floats
from policies.common.torch_tools import one_torch_thread

if TYPE_CHECKING:
    from policies.selfplay.loop import SelfPlay

MARKETS, TRAINING_MARKETS, COPIES = 1024, 256, 16
BATCH, REPLAY_RATIO, HIDDEN, BUFFER = 256, 0.5, (64, 64), 200_000
PLAYERS = (("dqn", "grid"), ("a2c", "box"), ("ddpg", "box"))
PLENTY = 1_000_000


class Work(NamedTuple):
    """What is repeated: a round returns how many seller-periods it played and the seconds that count."""

    round: Callable[[], tuple[int, float]]
    note: Callable[[], str] = str


def timed(play: Callable[[], int], note: Callable[[], str] = str) -> Work:
    """Work whose seconds all count; ``play`` returns how many seller-periods it played."""

    def one_round() -> tuple[int, float]:
        begun = time.perf_counter()
        played = play()
        return played, time.perf_counter() - begun

    return Work(one_round, note)


# --------------------------------------------------------------------------------------------------- the market


def bench_market(sellers: int, stock: int = 10) -> MarketSpec:
    """Plain logit, 20 customers a period, T = 100, equal sellers who order one period ahead."""
    seller = {"quality": 2.0, "unit_cost": 1.0, "prices": [1, 3], "order_up_to": [0, 20], "lead_time": 1}
    seller |= {"stock": stock, "holding_cost": 0.05, "reward_scale": 1.0, "grid": {"prices": 8, "levels": 8}}
    seats = [seller | {"name": f"seller_{k}"} for k in range(sellers)]
    return MarketSpec.parse({"horizon": 100, "price_sensitivity": 1.0, "customers": {"rate": 20}, "sellers": seats})


class BatchWork:
    """Whole episodes of a MarketBatch with decisions made beforehand, the cost of deciding left out.

    Args:
        spec: the market.
        price: (N,) what every row posts.
        orders: (K, M, N) what rows order, in turn.
        whole: count reset and observe as well as step.
    """

    def __init__(self, spec: MarketSpec, price: Floats, orders: Floats, whole: bool) -> None:
        self.batch, self.orders, self.whole = MarketBatch(spec, orders.shape[1]), orders, whole
        self.price = np.tile(price, (orders.shape[1], 1))
        self.lost = self.customers = 0.0

    def round(self) -> tuple[int, float]:
        """One episode of every row."""
        batch, horizon = self.batch, self.batch.spec.horizon
        begun = time.perf_counter()
        batch.reset()
        seconds = time.perf_counter() - begun if self.whole else 0.0
        for t in range(horizon):
            begun = time.perf_counter()
            batch.step(self.price, self.orders[t % len(self.orders)])
            if self.whole:
                batch.observe()
            seconds += time.perf_counter() - begun
            self.lost += float(batch.ledger["lost"].sum())
            self.customers += float(batch.ledger["market_size"][:, 0].sum())
        return batch.reward.size * horizon, seconds

    @property
    def sold_out(self) -> float:
        """The share of customers who wanted a seller first and found it sold out, where all utilities are 0."""
        n = len(self.batch.spec.sellers)
        return self.lost / (self.customers * n / (n + 1))


def plain(ordered: float, stock: int, whole: bool) -> Work:
    """The plain market of 4 sellers who order ``ordered`` units a period on average, opening with ``stock``."""
    orders = np.floor(ordered + np.random.default_rng(0).random((10, MARKETS, 4)))
    work = BatchWork(bench_market(4, stock), np.full(4, 2.0), orders, whole)
    return Work(work.round, lambda: f"{work.sold_out:.1%} of first choices out of stock")


def orange_juice() -> Work:
    """The built-in market with prices near Nash and orders near mean sales."""
    spec = MarketSpec.load("orange_juice")
    price = np.array([1.6 * seller.unit_cost for seller in spec.sellers])
    orders = np.full((1, MARKETS, len(price)), 0.06 * spec.customers.rate)
    return Work(BatchWork(spec, price, orders, whole=True).round)


def parallel_market(steps: int = 2_000) -> Work:
    """One PettingZoo market of 2 sellers, with actions made beforehand."""
    one = parallel_env(bench_market(2))
    actions = [{agent: one.action_space(agent).sample() for agent in one.possible_agents} for _ in range(64)]

    def play() -> int:
        for t in range(steps):
            if not one.agents:
                one.reset()
            one.step(actions[t % 64])
        return steps * 2

    return timed(play)


def supersuit(steps: int = 100) -> Work:
    """The same market, COPIES of it, through ``concat_vec_envs_v1``."""
    from market.envs.supersuit import vector_env

    many = vector_env(bench_market(2), COPIES)
    many.reset(seed=0)
    actions = [np.stack([many.action_space.sample() for _ in range(COPIES * 2)]) for _ in range(16)]

    def play() -> int:
        for t in range(steps):
            many.step(actions[t % 16])
        return steps * COPIES * 2

    return timed(play)


# ----------------------------------------------------------------------------------------------------- training


LARGE = 4096  # markets, and transitions a batch, of the figure for large batches


class Trained(NamedTuple):
    """How the three learners of :data:`PLAYERS` are set up."""

    markets: int = TRAINING_MARKETS
    batch: int = BATCH
    buffer: int = BUFFER
    device: str = "cpu"


USUAL = Trained()


def training_loop(setup: Trained) -> SelfPlay:
    """DQN, A2C and DDPG in one market of equal sellers, as they are set up."""

    from policies.learners.registry import BUILDERS, build_learner
    from policies.selfplay.loop import SelfPlay

    if setup.device == "cpu":
        one_torch_thread()
    spec = bench_market(len(PLAYERS))
    seen, players = len(feature_list(spec)), []
    for seat, (name, encoding) in enumerate(PLAYERS):
        options: dict[str, Any] = {"hidden": HIDDEN, "batch_size": setup.batch}
        if "replay_ratio" in BUILDERS[name].options.model_fields:
            options |= {"replay_ratio": REPLAY_RATIO, "buffer": setup.buffer, "warm_up": 0}
        decisions, chosen = Decisions(spec, seat, encoding), BUILDERS[name].options(**options)
        spaces: dict[str, Any] = {
            "observation": seen,
            "action_space": decisions.space,
            "grid": decisions.axes,
            "listed": decisions.listed,
        }
        learner = build_learner(name, chosen, **spaces, rows=setup.markets, device=setup.device, seed=seat)
        players.append((learner, decisions))
    return SelfPlay(spec, list(players), setup.markets, 10**9, 0)


def training(periods: int = 50, setup: Trained = USUAL) -> Work:
    """Whole periods of self-play, updates included, past the warm-up: exploration, step, memory, learning."""
    loop = training_loop(setup)
    return timed(lambda: play(loop, periods), lambda: f"{setup.markets:,} markets, batches of {setup.batch:,}")


def play(loop: SelfPlay, periods: int) -> int:
    """So many periods, until all of them are worked off, by a GPU too; returns the seller-periods."""
    import torch

    before = loop.done
    for _ in range(periods):
        loop.play_period()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return loop.done - before


def on_gpu() -> Work:
    """The same with everything that learns on a GPU; UserError where there is none."""
    import torch

    if not torch.cuda.is_available():
        raise UserError("torch finds no CUDA device")
    return training(setup=Trained(device="cuda"))


def large() -> Work:
    """Many markets and large batches, on a GPU where there is one."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    work = training(20, Trained(LARGE, LARGE, 64 * LARGE, device=device))
    return Work(work.round, lambda: f"on {device}; {work.note()}")


def tianshou_aec(markets: int = TRAINING_MARKETS) -> Work:
    """The same market through Tianshou's own multi-agent route, see :mod:`policies.studies.bench.tianshou_route`."""

    from policies.studies.bench.tianshou_route import StockRoute

    one_torch_thread()
    options: dict[str, Any] = {"hidden": HIDDEN, "batch": BATCH, "replay_ratio": REPLAY_RATIO, "buffer": BUFFER}
    route = StockRoute(bench_market(2), markets=markets, **options)
    return timed(route.train)
