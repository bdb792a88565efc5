"""What the report plays again is what the evaluation played."""

from __future__ import annotations

import pytest

from policies.report.data import evaluated_row, read_run, replay
from tests.helpers.reported import EPISODES
from tests.helpers.small_run import small_run


def test_the_episodes_played_again_are_those_of_the_evaluation() -> None:
    """Same seed, same customers: the mean of the distribution shown is the table's profit."""
    run = read_run(small_run())
    for spread in replay(run, EPISODES, run.seed, lambda text: None):
        row = evaluated_row(run, spread.player)
        assert row is not None and row["episodes"] == EPISODES and len(spread.profits) == 2
        assert spread.profits[spread.player.label].mean() == pytest.approx(row["profit"], rel=1e-9)
        best = list(spread.profits)[1]
        theirs = next(one for one in run.rows if one["seat"] == row["seat"] and one["policy"] == best)
        assert spread.profits[best].mean() == pytest.approx(theirs["profit"], rel=1e-9)
        assert best == row["best_fixed"]
