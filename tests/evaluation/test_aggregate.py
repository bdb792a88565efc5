"""Several comparisons together: over line-ups by hand, and over training runs by hand."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from policies.evaluation.aggregate import AcrossLineUps, shares_of_best, training_runs
from policies.evaluation.compare import Comparison, Result
from policies.evaluation.statistics import mean_interval
from policies.evaluation.view import runs_notes


def result(policy: str, profit: list[float], entrant: bool = False) -> Result:
    return Result(policy, entrant, np.array(profit))


def comparison(line_up: str, seat: str = "left", **profits: list[float]) -> Comparison:
    """Candidates by name; those that begin with ``run`` are judged."""
    return Comparison(seat, line_up, [result(name, p, name.startswith("run")) for name, p in profits.items()])


TWO = [
    comparison("x", run=[4, 6], cheap=[5, 7], dear=[1, 1]),
    comparison("y", run=[20, 22], cheap=[10, 10], dear=[30, 34]),
]


def test_means_over_line_ups_by_hand() -> None:
    found = AcrossLineUps(TWO)
    assert found.best == "dear" and found.base == (1 + 32) / 2 and not found.in_money
    by_name = {one.policy: one for one in found.standings}
    assert [one.policy for one in found.standings] == ["dear", "run", "cheap"]
    run = by_name["run"]
    assert run.entrant and run.profit.value == (5 + 21) / 2 and run.gap is not None
    assert run.gap.value == ((5 - 1) + (21 - 32)) / 2
    assert run.better == (1 + 0) / 2
    # Behind cheap's 6 by 1 against x, behind dear's 32 by 11 against y.
    assert (run.worst, run.behind) == ("y", pytest.approx(-11 / 32))
    assert (by_name["dear"].worst, by_name["dear"].behind) == ("x", pytest.approx(-5 / 6))
    assert by_name["dear"].gap is not None and by_name["dear"].gap.half == 0


def test_what_knows_the_market_is_left_out_where_it_is_not_always_played() -> None:
    known = replace(TWO[0], results=[*TWO[0].results, Result("optimal", False, np.array([9.0, 9.0]), reference=True)])
    found = AcrossLineUps([known, TWO[1]])
    assert found.best == "dear" and [one.policy for one in found.standings] == ["dear", "run", "cheap"]


def test_intervals_over_line_ups_pair_the_same_episodes() -> None:
    """What one line-up gains in an episode the other loses: the mean over both is certain."""
    drift = np.random.default_rng(0).normal(size=100)
    pair = [
        comparison("x", run=list(3 + drift), fixed=[0.0] * 100),
        comparison("y", run=list(5 - drift), fixed=[0.0] * 100),
    ]
    run = next(one for one in AcrossLineUps(pair).standings if one.entrant)
    assert run.gap is not None and run.gap.value == pytest.approx(4)
    assert run.gap.half < 1e-9 < mean_interval(3 + drift).half


def test_line_ups_that_played_further_than_others() -> None:
    pair = [comparison("x", run=[1, 3], fixed=[0, 0]), comparison("y", run=[5, 6, 7], fixed=[1, 1, 1])]
    run = next(one for one in AcrossLineUps(pair).standings if one.entrant)
    assert run.profit.value == 4 and run.gap is not None and run.gap.value == (2 + 5) / 2


def test_rows_are_plain() -> None:
    rows = AcrossLineUps(TWO).rows()
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    assert [row["policy"] for row in rows] == ["dear", "run", "cheap"] and {row["table"] for row in rows} == {
        "line_ups"
    }
    alone = AcrossLineUps([comparison("x", run=[1, 2]), comparison("y", run=[1, 2])])
    assert alone.best is None and alone.rows()[0]["difference"] is None


RUNS = [
    comparison("x", run_a=[11, 11], run_b=[9, 9], run_c=[13, 13], run_d=[10, 12], fixed=[10, 10]),
    comparison("y", run_a=[22, 22], run_b=[24, 24], run_c=[20, 20], run_d=[20, 20], fixed=[20, 20]),
]
SELLERS = {"run_a": "s (dqn)", "run_b": "s (dqn)", "run_c": "s (dqn)", "run_d": "s (a2c)"}


def test_scores_of_runs_by_hand() -> None:
    assert shares_of_best(RUNS, "run_a") == pytest.approx([0.1, 0.1])
    dqn, a2c = training_runs(RUNS, SELLERS)
    assert (dqn.seller, dqn.policies, a2c.policies) == ("s (dqn)", ("run_a", "run_b", "run_c"), ("run_d",))
    assert dqn.scores == pytest.approx(np.array([[0.1, 0.1], [-0.1, 0.2], [0.3, 0.0]]))
    # Of the six scores the lowest and the highest are left out: (0 + .1 + .1 + .2) / 4.
    assert dqn.middle.value == pytest.approx(0.1)
    assert dqn.ends == pytest.approx((0.05, 0.15))
    # Against x two of three runs are better; against y two are and one draws.
    assert dqn.improvement.value == pytest.approx((2 / 3 + 2.5 / 3) / 2)
    row = dqn.row()
    assert row["runs"] == 3 and row["interquartile_mean"] == pytest.approx(0.1) and row["line_up"] == "x; y"


def said(runs: list[Comparison], sellers: dict[str, str]) -> str:
    output = io.StringIO()
    for note in runs_notes(training_runs(runs, sellers)):
        note.print(Console(file=output, width=1000))
    return output.getvalue()


def test_one_run_is_said_to_be_one_seed() -> None:
    text = said(RUNS, SELLERS)
    assert text.startswith("s (dqn) over 3 runs: interquartile mean +10.00% [")
    assert "probability of improvement 0.75 [" in text and "range +5.00% to +15.00%" in text
    assert "s (a2c): one training seed; train several with --seeds" in text
    alone = said(RUNS, {"run_d": "s (a2c)"})
    assert alone == "One training seed; train several with --seeds to tell luck from skill.\n\n"
    assert said(RUNS, {}) == ""


def test_where_the_best_earns_nothing_scores_are_money() -> None:
    nothing = [comparison("x", run_a=[1, 1], run_b=[2, 2], fixed=[0, 0])]
    assert "interquartile mean +1.5 more a period than the best" in said(nothing, SELLERS)


def test_shares_and_money_are_never_mixed() -> None:
    """Against x the best loses: what is behind is money against y as well, and the worst is the most money."""
    loss = [comparison("x", run=[-2.0, -2.0], fixed=[-1.0, -1.0]), comparison("y", run=[95, 95], fixed=[100, 100])]
    assert shares_of_best(loss, "run") == [-1.0, -5.0]
    found = AcrossLineUps(loss)
    run = next(one for one in found.standings if one.entrant)
    assert found.in_money and (run.worst, run.behind) == ("y", -5.0)
    assert found.base == 99 / 2  # of both line-ups together there is a profit to speak of


def test_two_runs_get_no_interval_and_three_do() -> None:
    two = [comparison("x", run_a=[11, 11], run_b=[12, 12], fixed=[10, 10])]
    three = [comparison("x", run_a=[11, 11], run_b=[12, 12], run_c=[13, 13], fixed=[10, 10])]
    assert "range +10.00% to +20.00%. An interval needs three runs." in said(two, SELLERS)
    assert "[" not in said(two, SELLERS).split("range")[0]
    text = said(three, SELLERS)
    assert "interquartile mean +20.00% [" in text and "needs three" not in text
