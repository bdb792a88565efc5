"""What best policies are chosen by: shortfalls by hand, and rivals of a league."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from market.metrics.summary import episode_profit
from policies.common.seeding import row_seed
from policies.config.learners import LearnerOptions
from policies.config.run import read_config
from policies.evaluation.line_ups import LineUps
from policies.evaluation.selection import ModelSelection, Shortfalls
from policies.sellers.rollout import play
from policies.sellers.rules.compose import parse_rules
from policies.storage.run_folder import saved_sellers
from policies.training.run import TrainingRun

DUOPOLY = Path(__file__).parents[2] / "configs" / "duopoly.yaml"
LITTLE = ("training.markets=8", "training.evaluation_episodes=16", "training.budget=4000")
CONFIG = read_config(DUOPOLY, LITTLE)
RULES = ("nash+base_stock", "collusive+base_stock", "cost_plus(margin=0.1)+base_stock")


def line_up(rules: str) -> list:
    line_ups = LineUps(CONFIG, 0)
    return [line_ups.fixed(parse_rules(rules, "test", CONFIG.market), seat) for seat in (0, 1)]


def earned(seat: int, own: str, rival: str) -> float:
    """A seat's mean profit a period, played outside of what is tested."""
    seats = line_up(rival)
    seats[seat] = line_up(own)[seat]
    settings, spec = CONFIG.evaluation, CONFIG.market
    ledger = play(spec, seats, markets=16, seed=row_seed(0, "select"))
    profit = episode_profit(ledger, spec, settings.warm_up, settings.salvage)[:, seat]
    return float(profit.mean()) / (spec.horizon - settings.warm_up)


@pytest.mark.parametrize("seat", [0, 1])
def test_against_one_line_up_the_score_is_the_profit(seat: int) -> None:
    choice = ModelSelection(CONFIG, 0, line_up(RULES[0]))
    score, profit = choice.evaluate(seat, line_up(RULES[1])[seat], LearnerOptions())
    assert score == profit == pytest.approx(earned(seat, RULES[1], RULES[0]), rel=1e-12)


@pytest.mark.parametrize("seat", [0, 1])
@pytest.mark.parametrize("own", ["undercut+base_stock", RULES[1], RULES[2]])
def test_against_several_it_is_the_worst_shortfall(own: str, seat: int) -> None:
    choice = ModelSelection(CONFIG, 0, line_up(RULES[0]), Shortfalls(CONFIG, 0, [line_up(rules) for rules in RULES]))
    score, profit = choice.evaluate(seat, line_up(own)[seat], LearnerOptions())
    best = np.array([max(earned(seat, other, rival) for other in RULES) for rival in RULES])
    found = np.array([earned(seat, own, rival) for rival in RULES])
    shares = (found - best) / np.maximum(np.abs(best), 0.1 * np.abs(best).max())
    assert score == pytest.approx(shares.min(), rel=1e-9) and shares.min() < shares.max()
    assert profit == pytest.approx(earned(seat, own, RULES[0]), rel=1e-12)


def test_a_league_chooses_by_its_fixed_competitors_and_other_modes_by_the_first_line_up() -> None:
    mode = f"selfplay={{mode: league, competitors: [{', '.join(RULES)}]}}"
    league = TrainingRun(read_config(DUOPOLY, [*LITTLE, mode]), 0, "cpu")
    assert league.selection.several is not None
    assert [[seller.rules.label for seller in one] for one in league.selection.several.line_ups] == [
        [r, r] for r in RULES
    ]
    without = "selfplay={mode: league, current: 0.5, snapshots: 0.5, fixed: 0}"
    for changes in ([], [without]):
        assert not TrainingRun(read_config(DUOPOLY, [*LITTLE, *changes]), 0, "cpu").selection.several


def test_the_policy_kept_as_best_is_the_one_with_the_least_shortfall(tmp_path: Path) -> None:
    """Though it earned less than another; the profit that is saved with it is the one that it made."""
    training = TrainingRun(CONFIG, 0, "cpu")
    (tmp_path / "checkpoints").mkdir()
    shortfalls = {0: [-0.4, -0.1, -0.2], 1: [-0.2, -0.3, -0.1]}
    done = []
    for k in range(3):
        training.play.play_period()
        done.append(training.play.done)
        training.earned = {0: 5.0 - k, 1: 5.0 - k}
        training.keep(tmp_path, {seat: scores[k] for seat, scores in shortfalls.items()})
    best = saved_sellers(tmp_path)
    assert (best["left"].trained, best["left"].score) == (done[1], 4.0)
    assert (best["right"].trained, best["right"].score) == (done[2], 3.0)
