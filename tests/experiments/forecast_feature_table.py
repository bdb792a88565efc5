"""What observing a demand forecast is worth where demand has a week and drifts unseen. Writes forecast_feature_table.md.

python -m tests.experiments.forecast_feature_table [--seeds N] [--budget SELLER_PERIODS] [--workers N] [--learners NAME ...]
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from importlib import metadata
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from market.metrics.summary import episode_profit
from market.simulation.decisions import order_quantity
from market.simulation.observation import feature_list, forecast_windows, stock_scale, usual_demand
from market.spec.models import MarketSpec
from market.state import Floats
from policies.config.run import RunConfig, parse_run
from policies.sellers.protocol import Memory, Seller, View
from policies.sellers.rollout import play
from policies.sellers.rules.base import Seat
from tests.experiments.memory_table import half_width
from tests.helpers.known_optima import WEEK
from tests.helpers.learning import FRESH, train_best

OUTPUT = Path(__file__).with_suffix(".md")
BUDGET, EPISODES, WARM_UP = 500_000, 2048, 14
SELECT = 2**41  # row seeds on which the two rules' numbers are chosen
LEARNERS = ("dqn", "a2c", "ddpg")
FEATURE = "own_demand_forecast"
DRIFT = {"sd": 0.5, "persistence": 0.97}
TOP = 120

MARKET: dict[str, Any] = {
    "name": "drifting_season",
    "period": "day",
    "horizon": 140,
    "price_sensitivity": 2.0,
    "customers": {"rate": 20.0, "weekly": list(WEEK), "shock": DRIFT},
    "sellers": [
        {
            "name": "shop",
            "quality": 4.0,
            "unit_cost": 1.0,
            "holding_cost": 0.1,
            "stockout_cost": 0.5,
            "lead_time": 2,
            "stock": 30,
            "prices": [1.0, 3.0],
            "order_up_to": [0, TOP],
            "grid": {"prices": 5, "levels": 25},
        }
    ],
}


def market(forecast: bool) -> MarketSpec:
    """The market, with the forecast observed or not."""
    return MarketSpec.parse(MARKET | ({"observe": ["demand_forecast"]} if forecast else {}))


def forecast_run(learner: str, budget: int, forecast: bool) -> RunConfig:
    """One learner in the market, with its default options."""
    training = {"budget": budget, "markets": 128, "evaluation_episodes": 128}
    data = {"market": market(forecast).dump(), "seats": {"shop": learner}, "training": training}
    return parse_run(data | {"evaluation": {"warm_up": WARM_UP}}, "forecast_feature")


def earned(spec: MarketSpec, seller: Seller, seed: int = FRESH, episodes: int = EPISODES) -> Floats:
    """Profit a day of each episode (E,), stock valued at unit cost, the same customers for everybody."""
    fields = ("profit", "on_hand_left", "on_order")
    ledger = play(spec, [seller], markets=episodes, seed=seed, fields=fields)
    return episode_profit(ledger, spec, WARM_UP, 1.0)[:, 0] / (spec.horizon - WARM_UP)


@dataclass
class OrderUpTo:
    """The monopoly price, and an order up to ``level`` x what ``of`` says: 1 unit, the week's demand or the forecast."""

    spec: MarketSpec
    level: float
    of: str

    def start(self, markets: int) -> Memory:
        """Nothing to remember."""
        return {}

    def act(self, view: View, memory: Memory) -> tuple[Floats, Floats, Memory]:
        """Price (M,), units to order (M,)."""
        price, level = Seat(self.spec, 0).nash[0], self.level * self._unit(view)
        return np.full(len(level), price), order_quantity(level, view.on_hand, view.on_order), memory

    def _unit(self, view: View) -> Floats:
        if self.of == "unit":
            return np.ones(len(view.on_hand))
        if self.of == "week":
            return usual_demand(self.spec)[0] * forecast_windows(self.spec)[view.period, 0]
        column = [feature.name for feature in feature_list(self.spec)].index(FEATURE)
        return view.observation[:, column].astype(float) * stock_scale(self.spec, 0)


RULES: dict[str, tuple[str, Floats]] = {
    "unit": ("order up to {:g} units for ever", np.arange(16.0, 97.0, 4.0)),
    "week": ("order up to {:.2f} x what the week's days to come bring on average", np.linspace(0.6, 2.0, 29)),
    "forecast": ("order up to {:.2f} x the observed forecast", np.linspace(0.6, 2.0, 29)),
}


def best_rule(of: str) -> tuple[float, Floats]:
    """The best number, chosen on other customers, and what it earns (E,)."""
    spec, tried = market(True), RULES[of][1]
    best = max(tried, key=lambda level: float(earned(spec, OrderUpTo(spec, level, of), SELECT, 512).mean()))
    return float(best), earned(spec, OrderUpTo(spec, float(best), of))


Task = tuple[str, int, int, bool]


def learned(task: Task) -> tuple[Floats, float]:
    """What a learner earns at its best evaluation (E,), and the seconds of a core that it took."""
    np.seterr(under="ignore")
    learner, seed, budget, forecast = task
    config, begun = forecast_run(learner, budget, forecast), time.process_time()
    (seller,) = train_best(config, seed).values()
    return earned(config.market, seller), time.process_time() - begun


def rows(learners: Sequence[str], seeds: int, budget: int, workers: int) -> Iterator[str]:
    """A line for each learner: without the feature, with it, and the difference on the same customers by seed."""
    tasks = [(name, seed, budget, seen) for name in learners for seen in (False, True) for seed in range(seeds)]
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        results = pool.map(learned, tasks)
        for name in learners:
            plain, told = (list(islice(results, seeds)) for _ in range(2))
            yield row(name, plain, told)


def row(name: str, plain: list[tuple[Floats, float]], told: list[tuple[Floats, float]]) -> str:
    """One line of the table."""
    gain = np.array([float((a - b).mean()) for (a, _), (b, _) in zip(told, plain, strict=True)])
    means = [float(np.mean([values for values, _ in group])) for group in (plain, told)]
    spent = [float(np.mean([seconds for _, seconds in group])) for group in (plain, told)]
    by_seed, half = " ".join(f"{one:+.3f}" for one in gain), half_width(gain)
    verdict = "more" if gain.mean() > half else "less" if gain.mean() < -half else "cannot be told"
    return (
        f"| {name} | {means[0]:.3f} | {means[1]:.3f} | {by_seed} | {gain.mean():+.3f} ± {half:.3f} "
        f"({gain.mean() / means[0]:+.1%}) | {verdict} | {spent[0]:.0f}, {spent[1]:.0f} |"
    )


def about_rules() -> list[str]:
    """What the feature is worth to a rule with one number, which needs no learning."""
    found = {of: best_rule(of) for of in RULES}
    gain = found["forecast"][1] - found["week"][1]
    half = 1.96 * float(gain.std(ddof=1)) / np.sqrt(len(gain))
    return [
        "| rule, at the monopoly price | profit a day |",
        "| --- | --- |",
        *(f"| {RULES[of][0].format(number)} | {profit.mean():.3f} |" for of, (number, profit) in found.items()),
        "",
        (
            "Each rule's number is the best of a scan on other customers. Forecast less week, on the same customers: "
            f"{gain.mean():+.3f} ± {half:.3f} ({gain.mean() / found['week'][1].mean():+.1%}).\n"
        ),
    ]


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", type=int, default=BUDGET)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--learners", nargs="+", default=LEARNERS, choices=LEARNERS)
    given = parser.parse_args()
    np.seterr(under="ignore")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "tianshou", "numpy", "numba"))
    command = f"python -m tests.experiments.forecast_feature_table --seeds {given.seeds} --budget {given.budget}"
    command += f" --learners {' '.join(given.learners)}"
    shop = MARKET["sellers"][0]
    lines = [
        "# What an observed demand forecast is worth\n",
        f"`{command}`, {date.today()}, {versions}, Python {platform.python_version()}.\n",
        (
            f"One seller, {MARKET['customers']['rate']:g} customers a day on average, week {', '.join(map(str, WEEK))}, "
            f"lead time {shop['lead_time']}. Their number drifts unseen (log-normal AR(1), sd {DRIFT['sd']:g}, persistence "
            f"{DRIFT['persistence']:g}); the week is seen by all. Profit a day, stock valued at unit cost, over "
            f"{EPISODES:,} fresh episodes of {MARKET['horizon']} days, the first {WARM_UP} not counted, the same customers "
            f"for all. {given.budget:,} seller-periods a run, best of 20 evaluations, default options.\n"
        ),
        *about_rules(),
        (
            "| learner | without | with `observe: [demand_forecast]` | difference by seed | mean, 95 % interval over seeds "
            "| with it | core seconds a run |"
        ),
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    print("\n".join(lines), flush=True)
    for line in rows(given.learners, given.seeds, given.budget, given.workers):
        print(line, flush=True)
        lines.append(line)
    OUTPUT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
