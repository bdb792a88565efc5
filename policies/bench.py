"""`bazaar bench`: how fast the market and training are on this machine, in seller-periods a second.

A seller-period is one seller, one period, one market. Every figure is the median of repeats of some tenths of a
second or less; other programs on the machine make it too low, so the load average is printed beside it.
"""

from __future__ import annotations

import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from market.batch import MarketBatch
from market.decisions import Decisions
from market.env import parallel_env
from market.errors import Refusal
from market.layout import Floats
from market.spec import MarketSpec
from policies.judge import terminal
from policies.runs import PACKAGES, _versions, write_json

MARKETS, TRAINING_MARKETS, COPIES = 1024, 256, 16
BATCH, REPLAY_RATIO, HIDDEN, BUFFER = 256, 0.5, (64, 64), 200_000
PLAYERS = (("dqn", "grid"), ("a2c", "box"), ("ddpg", "box"))
ORANGE_JUICE = Path("configs/orange_juice.yaml")
FEWEST_REPEATS = 5
SPEEDUP_WANTED = 10.0
PLENTY = 1_000_000


class Work(NamedTuple):
    """What is repeated: a round returns how many seller-periods it played and the seconds that count."""

    round: Callable[[], tuple[int, float]]
    note: Callable[[], str] = str


class Figure(NamedTuple):
    """One line of the table; ``prepare`` may raise :class:`Refusal` where it cannot be measured."""

    what: str
    wanted: float | None
    prepare: Callable[[], Work]


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
        if not self.whole:
            begun = time.perf_counter()
        for t in range(horizon):
            batch.step(self.price, self.orders[t % len(self.orders)])
            if self.whole:
                batch.observe()
        seconds = time.perf_counter() - begun
        self.lost += batch.ledger["lost"].sum()
        self.customers += batch.ledger["market_size"][:, 0].sum()
        return batch.reward.size * horizon, seconds

    def stockouts(self) -> str:
        """The share of customers whose first choice was a seller, and of these who found it sold out."""
        n = len(self.batch.spec.sellers)  # at equal utilities of 0 a customer first chooses a seller so often
        return f"{self.lost / (self.customers * n / (n + 1)):.1%} of first choices out of stock"


def _plain(ordered: float, stock: int, whole: bool, markets: int = MARKETS) -> Work:
    orders = np.floor(ordered + np.random.default_rng(0).random((10, markets, 4)))
    work = BatchWork(bench_market(4, stock), np.full(4, 2.0), orders, whole)
    return Work(work.round, work.stockouts)


def _orange_juice() -> Work:
    if not ORANGE_JUICE.is_file():
        raise Refusal(f"{ORANGE_JUICE} is not in this folder: run bazaar bench where it is")
    spec = MarketSpec.load(ORANGE_JUICE)
    price = np.array([1.6 * seller.unit_cost for seller in spec.sellers])  # near Nash, and so are the orders
    orders = np.full((1, MARKETS, len(price)), 0.06 * spec.customers.rate)
    return Work(BatchWork(spec, price, orders, whole=True).round)


def _parallel_env(steps: int = 2_000) -> Work:
    one = parallel_env(bench_market(2))
    actions = [{agent: one.action_space(agent).sample() for agent in one.possible_agents} for _ in range(64)]

    def play() -> tuple[int, float]:
        begun = time.perf_counter()
        for t in range(steps):
            if not one.agents:
                one.reset()
            one.step(actions[t % 64])
        return steps * 2, time.perf_counter() - begun

    return Work(play)


def _supersuit(steps: int = 100) -> Work:
    from market.interop import vector_env

    many = vector_env(bench_market(2), COPIES)
    many.reset(seed=0)
    actions = [np.stack([many.action_space.sample() for _ in range(COPIES * 2)]) for _ in range(16)]

    def play() -> tuple[int, float]:
        begun = time.perf_counter()
        for t in range(steps):
            many.step(actions[t % 16])
        return steps * COPIES * 2, time.perf_counter() - begun

    return Work(play)


# ----------------------------------------------------------------------------------------------------- training


def _training(markets: int = TRAINING_MARKETS, periods: int = 50) -> Work:
    """Whole periods of self-play, updates included, past the warm-up: exploration, step, memory, learning."""
    import torch

    from policies.learners import BUILDERS, build_learner
    from policies.selfplay import SelfPlay

    torch.set_num_threads(1)
    spec = bench_market(len(PLAYERS))
    seen, players = MarketBatch(spec).observation_space, []
    for seat, (name, encoding) in enumerate(PLAYERS):
        options = {"hidden": HIDDEN, "batch_size": BATCH}
        if "replay_ratio" in BUILDERS[name].options.model_fields:
            options |= {"replay_ratio": REPLAY_RATIO, "buffer": BUFFER, "warm_up": 0}
        decisions = Decisions(spec, seat, encoding)
        spaces = {"observation_space": seen, "action_space": decisions.space}
        chosen = BUILDERS[name].options(**options)
        players.append((build_learner(name, chosen, **spaces, rows=markets, seed=seat), decisions))
    loop = SelfPlay(spec, list(players), markets, 10**9, 0)

    def play() -> tuple[int, float]:
        begun, before = time.perf_counter(), loop.done
        for _ in range(periods):
            loop.play_period()
        return loop.done - before, time.perf_counter() - begun

    return Work(play)


def _tianshou_aec(markets: int = TRAINING_MARKETS) -> Work:
    import torch

    from policies.bench_tianshou import StockRoute

    torch.set_num_threads(1)
    options: dict[str, Any] = {"hidden": HIDDEN, "batch": BATCH, "replay_ratio": REPLAY_RATIO, "buffer": BUFFER}
    route = StockRoute(bench_market(2), markets=markets, **options)

    def play() -> tuple[int, float]:
        begun = time.perf_counter()
        played = route.train()
        return played, time.perf_counter() - begun

    return Work(play)


FIGURES: dict[str, Figure] = {
    "batch": Figure("step, no stockouts", 20e6, lambda: _plain(4.0, PLENTY, whole=False)),
    "batch_stockouts": Figure("step, one first choice in five sold out", 12e6, lambda: _plain(3.55, 4, whole=False)),
    "batch_full": Figure("step, observe, reset", 5e6, lambda: _plain(4.0, PLENTY, whole=True)),
    "orange_juice": Figure("step, observe, reset of configs/orange_juice.yaml", 2e6, _orange_juice),
    "parallel_env": Figure("one PettingZoo market of 2 sellers", 50e3, _parallel_env),
    "supersuit": Figure(f"the same, {COPIES} copies through concat_vec_envs_v1", None, _supersuit),
    "training": Figure("DQN, A2C and DDPG learn at once", 80e3, _training),
    "tianshou_aec": Figure("2 DQN sellers on Tianshou's multi-agent route", None, _tianshou_aec),
}


# --------------------------------------------------------------------------------------------------- measuring


def measure(work: Work, seconds: float) -> dict[str, Any]:
    """Repeat a round for so long, after one that does not count (it compiles); the median and what it lies between."""
    work.round()
    speeds: list[float] = []
    end = time.perf_counter() + seconds
    while len(speeds) < FEWEST_REPEATS or time.perf_counter() < end:
        played, took = work.round()
        speeds.append(played / took)
    result = {"seller_periods_per_second": statistics.median(speeds), "min": min(speeds), "max": max(speeds)}
    return result | {"repeats": len(speeds), "note": work.note()}


def run_bench(seconds: float = 3.0, only: Sequence[str] | None = None, json: Path | None = None) -> dict[str, Any]:
    """Carry out `bazaar bench`: measure, print the table, write JSON; returns what was written.

    Raises:
        Refusal: an unknown key, no time, or a file that cannot be written, before anything is measured.
    """
    keys = _chosen(only)
    if not (math.isfinite(seconds) and seconds > 0):
        raise Refusal(f"--seconds {seconds}: must be a time above 0")
    if json is not None:
        _refuse_unwritable(json)
    console = terminal()
    report: dict[str, Any] = {"machine": machine()}
    for key in keys:
        report[key] = _measure_one(key, seconds, console)
    report["machine"]["load_average_after"] = _load()
    report["ratios"] = ratios(report)
    show(report, console)
    if json is not None:
        write_json(json, report)
    return report


def _measure_one(key: str, seconds: float, console: Console) -> dict[str, Any]:
    figure = FIGURES[key]
    progress = f"measuring {key}: {figure.what}"
    if not console.is_terminal:
        console.print(progress, highlight=False)
    with console.status(progress):
        try:
            result = measure(figure.prepare(), seconds)
        except Refusal as refusal:
            result = {"seller_periods_per_second": None, "note": f"skipped: {refusal}"}
    return result | {"wanted": figure.wanted}


def _chosen(only: Sequence[str] | None) -> Iterable[str]:
    for key in only or ():
        if key not in FIGURES:
            raise Refusal(f"--only {key}: there is no such figure; they are {', '.join(FIGURES)}")
    return [key for key in FIGURES if not only or key in only]


def _refuse_unwritable(path: Path) -> None:
    new = not path.exists()
    try:
        path.open("a").close()
    except OSError as error:
        raise Refusal(f"--json {path}: cannot be written ({error.strerror})") from None
    if new:
        path.unlink()


def machine() -> dict[str, Any]:
    """What the figures depend on beside the code."""
    import torch

    return {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": {"market": numba.get_num_threads(), "torch": 1},
        "load_average_before": _load(),
        "versions": dict(_versions((*PACKAGES, "supersuit"))),
        "torch_device": "cpu",
        "torch_build": torch.__version__,
    }


def _load() -> float | None:
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


# ----------------------------------------------------------------------------------------------------- showing


def ratios(report: dict[str, Any]) -> dict[str, float]:
    """What one figure is in terms of another, and of what is wanted, where both were measured."""
    speeds = {key: report[key]["seller_periods_per_second"] for key in FIGURES if key in report}
    found = {f"{k}:wanted": v / FIGURES[k].wanted for k, v in speeds.items() if v and FIGURES[k].wanted}
    for one, other in (("training", "tianshou_aec"), ("batch", "parallel_env"), ("parallel_env", "supersuit")):
        if speeds.get(one) and speeds.get(other):
            found[f"{one}:{other}"] = speeds[one] / speeds[other]
    return found


def show(report: dict[str, Any], console: Console) -> None:
    """Print the table and what it was measured on."""
    table = Table(title="seller-periods a second", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("figure", no_wrap=True)
    for head in ("median", "min", "max", "wanted", "of wanted"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("what")
    for key in (key for key in FIGURES if key in report):
        result, what = report[key], FIGURES[key].what
        numbers = [_short(result.get(name)) for name in ("seller_periods_per_second", "min", "max", "wanted")]
        share = report["ratios"].get(f"{key}:wanted")
        told = f"{what}: {result['note']}" if result["note"] else what
        table.add_row(key, *numbers, f"{share:.2f}" if share else "-", told)
    console.print(table)
    if (speedup := report["ratios"].get("training:tianshou_aec")) is not None:
        console.print(f"training : tianshou_aec = {speedup:.1f} (wanted: at least {SPEEDUP_WANTED:g})", highlight=False)
    about = report["machine"]
    console.print(
        f"{about['cores']} cores, load average {about['load_average_before']} before and {about['load_average_after']} "
        f"after; {about['threads']['market']} threads for the market, 1 for torch; python {about['python']}",
        style="dim",
        highlight=False,
    )


def _short(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value / 1e6:.2f} M" if value >= 1e6 else f"{value / 1e3:.1f} k"
