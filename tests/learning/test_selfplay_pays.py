"""Slow: a league's sellers are the better prepared for strangers. Over seeds: ``tests/experiments/selfplay_table.md``."""

from __future__ import annotations

import pytest

from tests.experiments.selfplay_measures import Panel, trained, with_mode

BUDGET = 3_000_000
STACKS = ("learners.dqn.stack=8", "learners.ddpg.stack=8")


@pytest.mark.slow(seconds=180)
def test_a_leagues_worst_case_among_strangers_is_better_than_independent_learners() -> None:
    """In the duopoly, best policies, against eight line-ups that neither trained against; shares of the best rule's."""
    panel, worst = Panel(with_mode("duopoly", "independent", BUDGET)), {}
    for mode in ("independent", "league"):
        run = trained(with_mode("duopoly", mode, BUDGET, *STACKS), seed=1)
        worst[mode] = min(panel.relative(run.best).values())
    assert worst["league"] > worst["independent"], worst
