"""A small league."""

from __future__ import annotations

from typing import Any

from policies.common.torch_tools import one_torch_thread
from policies.config.run import RunConfig, parse_run
from policies.selfplay.league import League
from policies.training.run import TrainingRun
from tests.helpers.markets import a_market

ROWS, HORIZON = 16, 12


SMALL: dict[str, Any] = {"hidden": [8], "batch_size": 16, "warm_up": 0, "replay_ratio": 0.5, "buffer": 2_000}


LEARNERS = {"dqn": SMALL, "ddpg": SMALL, "a2c": {"hidden": [8], "segment": 4, "batch_size": 32}}


def config(
    *players: Any, selfplay: Any = "independent", budget: int = 20_000, made: bool = False, **market: Any
) -> RunConfig:
    stocked = {"lead_time": 1, "stock": 6, "holding_cost": 0.05, "grid": {"prices": 4, "levels": 4}}
    to_order = {"order_up_to": [0, 0], "grid": {"prices": 4}}
    if made:
        market |= {"inventory": "make_to_order"}
    data = {
        "market": a_market(*[to_order if made else stocked] * len(players), **{"horizon": HORIZON} | market),
        "seats": {"abcdefgh"[k]: player for k, player in enumerate(players)},
        "learners": LEARNERS,
        "selfplay": selfplay,
        "training": {"budget": budget, "markets": ROWS, "evaluation_episodes": 4},
        "evaluation": {"warm_up": 2, "line_ups": ["nash" if made else "nash+base_stock"]},
    }
    return parse_run(data, "here")


def play(one: RunConfig, periods: int, seed: int = 0) -> Any:
    one_torch_thread()
    mode = TrainingRun(one, seed, "cpu").play
    for _ in range(periods):
        mode.play_period()
    return mode


def league(periods: int, seed: int = 0, **options: Any) -> League:
    small = {"mode": "league", "distance": 400, "pool": 2, "competitors": ["nash", "undercut", "random"]}
    mode = play(config("dqn", "ddpg", selfplay=small | options), periods, seed)
    assert isinstance(mode, League)
    return mode
