"""Comparisons as tables: of one seat against one line-up, over several line-ups, and over several training runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from market.spec.models import MarketSpec
from policies.config.run import Evaluation
from policies.evaluation.aggregate import AcrossLineUps, AcrossRuns, Overall
from policies.evaluation.compare import Comparison, Result, precise
from policies.evaluation.statistics import Interval
from policies.views.page import told
from policies.views.table import Cell, Cells, Column, Note, Row, Table

MEASURES = {
    "price": ("price", "{:.3f}"),
    "market_share": ("share", "{:.1%}"),
    "fill_rate": ("fill", "{:.1%}"),
    "stockout_rate": ("stockout", "{:.1%}"),
    "inventory_turnover": ("turnover", "{:.2f}"),
    "conditional_value_at_risk": ("CVaR {level}", "{:.4g}"),
    "maximum_drawdown": ("drawdown", "{:.4g}"),
}
LEAST = 3  # columns that are shown in any case: the name, its profit and the difference

ONE_SEED = "one training seed; train several with --seeds to tell luck from skill."


def estimate(value: Interval) -> Cell:
    """An estimate and half the width of its interval."""
    return Cell(value.value, value.half)


def gain_text(gain: float) -> str:
    """A profit gain, without the sign that rounding would leave before a zero."""
    return f"{round(gain, 2) + 0.0:.2f}"


def _relative(gap: Interval, profit: float) -> tuple[Interval, str]:
    """A difference as a share of a profit, or as money where that is nothing, and how it is written."""
    return (gap, "{:+.4g}") if profit == 0 else (gap.scaled(abs(profit)), "{:+.2%}")


def _difference(gap: Interval | None, profit: float) -> Cell | None:
    if gap is None:
        return None
    shown, form = _relative(gap, profit)
    return Cell(shown.value, shown.half, form=form)


def _in_brackets(gap: Interval, profit: float) -> str:
    """The difference with the ends of its interval."""
    shown, form = _relative(gap, profit)
    ends = f" [{form.format(shown.low)}, {form.format(shown.high)}]" if np.isfinite(shown.half) else ""
    return form.format(shown.value) + ends


def _finding(gap: Interval) -> str:
    return {1: "earns more than", -1: "earns less than", 0: "cannot be told from"}[gap.sign]


# ------------------------------------------------------------------------------------------------ one line-up


def comparison_table(comparison: Comparison, spec: MarketSpec, settings: Evaluation) -> Table:
    """One seat against one line-up, best first, and in words what it says of the entrants."""
    ranked = sorted(comparison.results, key=lambda result: -result.mean)
    measures = [key for key in MEASURES if key in ranked[0].summary()]
    columns = [Column(""), Column(f"profit a {spec.period}"), Column("to best fixed")]
    columns += [Column("profit gain", gain_text)] if comparison.sellers > 1 else []
    level = f"{100 * settings.risk_level:.3g}%"
    columns += [Column(name.format(level=level), form) for name, form in map(MEASURES.__getitem__, measures)]
    rows = [Row(_cells(comparison, one, measures), "judged" if one.entrant else "") for one in ranked]
    notes = [*map(Note, _verdicts(comparison)), _how(comparison, spec, settings)]
    return Table(_title(comparison), columns, rows, notes, least=LEAST)


def _title(comparison: Comparison) -> str:
    """Who is judged, against whom, and whether in a market that it did not learn in."""
    against = f" against {comparison.line_up}" if comparison.sellers > 1 else ""
    changed = ", in a market that differs from training" if comparison.changed else ""
    return f"{comparison.seat}{against}{changed}"


def _cells(comparison: Comparison, result: Result, measures: Sequence[str]) -> list[Cells]:
    standing, best, summary = comparison.standings[result.policy], comparison.best, result.summary()
    gap = None if best is None or result is best else _difference(standing.gap, best.mean)
    gain = [standing.gain] if comparison.sellers > 1 else []
    return [result.policy, estimate(standing.profit), gap, *gain, *(summary[key] for key in measures)]


def _verdicts(comparison: Comparison) -> Iterator[str]:
    """A sentence for every entrant: whether it earns more than the best fixed competitor, how much and how often."""
    best = comparison.best
    if best is None:
        yield "No fixed competitor was tried in this seat."
        return
    for result in (r for r in comparison.results if r.entrant):
        standing = comparison.standings[result.policy]
        assert standing.gap is not None
        often = f", better in {standing.better:.0%} of episodes" if len(result.profit) > 1 else ""
        amount = _in_brackets(standing.gap, best.mean)
        yield f"{result.policy} {_finding(standing.gap)} the best fixed competitor, {best.policy}: {amount}{often}."


def _how(comparison: Comparison, spec: MarketSpec, settings: Evaluation) -> Note:
    enough = len(comparison.results[0].profit) == 1 or precise(comparison.results, settings.precision)
    about = {"comparison": comparison, "spec": spec, "settings": settings, "precise": enough}
    return Note("\n".join([*told("evaluation.txt", "one_line_up", **about), ""]), "note")


# ------------------------------------------------------------------------------------------------ several line-ups


def line_ups_table(line_ups: AcrossLineUps, spec: MarketSpec, settings: Evaluation) -> Table:
    """One seat over all line-ups, best first, and what it says of the entrants."""
    columns = [Column(""), Column(f"profit a {spec.period}"), Column("to best fixed overall")]
    columns += [Column("worst against"), Column("to best fixed there", "{:+.2%}")]
    rows = [Row(_overall_cells(line_ups, one), "judged" if one.entrant else "") for one in line_ups.standings]
    notes = [*map(Note, _overall_verdicts(line_ups)), _overall_how(line_ups, spec, settings)]
    return Table(f"{line_ups.seat} over {len(line_ups.comparisons)} line-ups", columns, rows, notes, least=LEAST)


def _overall_cells(line_ups: AcrossLineUps, one: Overall) -> list[Cells]:
    gap = None if one.policy == line_ups.best else _difference(one.gap, line_ups.best_mean)
    return [one.policy, estimate(one.profit), gap, one.worst, one.behind]


def _overall_verdicts(line_ups: AcrossLineUps) -> Iterator[str]:
    """A sentence for every entrant about its mean over line-ups."""
    for one in line_ups.standings if line_ups.best is not None else ():
        if one.entrant and one.gap is not None:
            yield (
                f"Over {len(line_ups.comparisons)} line-ups {one.policy} {_finding(one.gap)} the best fixed competitor "
                f"overall, {line_ups.best}: {_in_brackets(one.gap, line_ups.best_mean)}, better in {one.better:.0%} of episodes."
            )


def _overall_how(line_ups: AcrossLineUps, spec: MarketSpec, settings: Evaluation) -> Note:
    episodes = sorted({len(comparison.results[0].profit) for comparison in line_ups.comparisons})
    (text,) = told("evaluation.txt", "line_ups", episodes=episodes, spec=spec, settings=settings)
    return Note(f"{text}\n", "note")


# ------------------------------------------------------------------------------------------------ several runs


def runs_notes(found: Sequence[AcrossRuns]) -> Iterator[Note]:
    """What several training runs of a seller say together; of one alone, that it is one."""
    several = [runs for runs in found if len(runs.policies) > 1]
    for runs in several:
        if all(comparison.best is not None for comparison in runs.comparisons):
            yield from map(Note, told("evaluation.txt", "over_runs", runs=runs))
    for runs in found:
        if several and runs not in several:
            yield Note(f"{runs.seller}: {ONE_SEED}", "note")
    if several:
        yield from (Note(f"{text}\n", "note") for text in told("evaluation.txt", "how_runs"))
    elif found:
        yield Note(f"{ONE_SEED[0].upper()}{ONE_SEED[1:]}\n", "note")
