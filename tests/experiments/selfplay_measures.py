"""What a way of self-play buys, as the tests and the committed table measure it: against strangers, and exploitability.

Held-out fixed competitors are rules of which none is a default rival of any mode, nor the line-up that best policies
are chosen against. Dimensions: E episodes, C candidates.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from market.metrics.summary import episode_profit
from policies.common.seeding import row_seed
from policies.common.torch_tools import one_torch_thread
from policies.config.run import RunConfig, read_config
from policies.evaluation.line_ups import LineUps
from policies.sellers.protocol import Seller
from policies.sellers.rollout import play
from policies.sellers.rules.compose import parse_rules
from policies.studies.exploit.best_response import ResponseTraining, score
from policies.training.run import TrainingRun

CONFIGS = Path(__file__).parents[2] / "configs"
HELD_OUT = (
    "match+base_stock",
    "trigger+base_stock",
    "clearance+base_stock",
    "best_response+base_stock",
    "constant+min_max",
    "undercut(step=0.2)+forecast",
    "cost_plus(margin=0.15)+base_stock",
    "cost_plus(margin=1)+base_stock",
)
EPISODES = 128


@dataclass
class Panel:
    """The held-out competitors of one market, and the best fixed profit against each in every seat."""

    config: RunConfig
    episodes: int = EPISODES
    line_ups: LineUps = field(init=False)

    def __post_init__(self) -> None:
        self.line_ups = LineUps(self.config, 0)

    def profit(self, seat: int, seller: Seller, line_up: str) -> float:
        """Mean profit a period of a seller in a seat, all rivals following ``line_up``, on customers of no run."""
        spec, settings = self.config.market, self.config.evaluation
        rules = parse_rules(line_up, "held out", spec)
        seats = [seller if k == seat else self.line_ups.fixed(rules, k) for k in range(len(spec.sellers))]
        ledger = play(spec, seats, markets=self.episodes, seed=row_seed(10**6, "evaluate"))
        earned = episode_profit(ledger, spec, settings.warm_up, settings.salvage)[:, seat]
        return float(earned.mean()) / (spec.horizon - settings.warm_up)

    @cached_property
    def references(self) -> dict[tuple[int, str], float]:
        """The profit of the best fixed competitor in a seat against a line-up."""
        return {
            (seat, line_up): max(
                self.profit(seat, self.line_ups.fixed(rules, seat), line_up) for rules in self.line_ups.competitors()
            )
            for seat in range(len(self.config.market.sellers))
            for line_up in HELD_OUT
        }

    def relative(self, sellers: dict[int, Seller]) -> dict[tuple[int, str], float]:
        """Each learner's profit against each line-up, less the best fixed competitor's, as a share of that."""
        return {
            at: self.profit(at[0], sellers[at[0]], at[1]) / best - 1
            for at, best in self.references.items()
            if at[0] in sellers
        }


@dataclass(frozen=True)
class Trained:
    """What training left: each seat's best policy, its last one, and the run."""

    training: TrainingRun
    best: dict[int, Seller]
    latest: dict[int, Seller]


def trained(config: RunConfig, seed: int, evaluations: int = 20) -> Trained:
    """Train on the CPU for the configuration's budget."""
    one_torch_thread()
    training, budget = TrainingRun(config, seed, "cpu"), config.training.budget
    best: dict[int, tuple[float, Seller]] = {}
    latest: dict[int, Seller] = {}
    for k in range(1, evaluations + 1):
        while training.play.done < budget * k // evaluations:
            training.play.play_period()
        for seat, reached in training.scores().items():
            network, decisions = training.play.network(seat), training.play.decisions(seat)
            name = config.market.names[seat]
            now = training.seats.saved(seat, decisions, network, training.play.done, reached, Path(name))
            latest[seat] = now.sit(config.market)
            if seat not in best or reached > best[seat][0]:
                best[seat] = reached, latest[seat]
    return Trained(training, {seat: seller for seat, (_, seller) in best.items()}, latest)


def nash_conv(run: Trained, sellers: dict[int, Seller], budget: int, seed: int = 0) -> float:
    """What responses earn more than ``sellers``, summed over seats, as a share of total profit.

    A lower bound on NashConv: the best of a trained response and the fixed competitors, none counted below 0.
    """
    config, line_ups = run.training.config, run.training.line_ups
    line_up = seated(run, sellers)
    present, gains = [], []
    for seat, seller in enumerate(line_up):
        present.append(score(config, seat, seller, line_up, seed))
        responses = [line_ups.fixed(rules, seat) for rules in line_ups.competitors()]
        found = [score(config, seat, one, line_up, seed) for one in responses]
        player = config.seats[config.market.names[seat]]
        found.append(ResponseTraining(config, seat, player, line_up, budget, seed, "cpu").run().score)
        gains.append(max(0.0, max(found) - present[-1]))
    return float(np.sum(gains) / np.sum(present))


def profit_gain(run: Trained, sellers: dict[int, Seller]) -> float:
    """Delta of the sellers against one another, on the customers kept for choosing."""
    training = run.training
    spec, episodes = training.spec, training.config.training.evaluation_episodes
    ledger = play(spec, seated(run, sellers), markets=episodes, seed=row_seed(training.seed, "select"))
    return float(training.summarized(ledger).gain)


def seated(run: Trained, sellers: dict[int, Seller]) -> list[Seller]:
    """A seller for every seat: these, and the configuration's fixed competitors."""
    seats = run.training.seats
    return [sellers[seat] if seat in sellers else seats.fixed[seat] for seat in range(len(seats.spec.sellers))]


ALL_DQN = {
    "duopoly": ("seats.right=dqn",),
    "orange_juice": (
        "seats.minute_maid=dqn",
        "seats.tropicana=dqn",
        "market.sellers.minute_maid.grid={prices: 13, levels: 13}",
        "market.sellers.tropicana.grid={prices: 13, levels: 13}",
    ),
}


def with_mode(name: str, mode: str, budget: int, *changes: str) -> RunConfig:
    """A configuration of the repository in one mode; with DQN in every seat where seats share, the others as it is."""
    alike = ALL_DQN[name] if mode == "shared" else ()
    return read_config(CONFIGS / f"{name}.yaml", [f"selfplay={mode}", f"training.budget={budget}", *alike, *changes])
