"""Comparisons as tables: of one seat against one line-up, over several line-ups, and over several training runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from market.spec.models import MarketSpec
from policies.config.run import Evaluation
from policies.evaluation.aggregate import AcrossLineUps, AcrossRuns, Overall
from policies.evaluation.compare import Comparison, Result, precise
from policies.evaluation.statistics import Interval
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
HOW_RUNS = (
    "Over runs: the scores are each run's mean difference to the best fixed competitor of each line-up. The interquartile "
    "mean leaves out the lowest and the highest quarter of them (of three none); the probability of improvement is that "
    "of a run to earn more than that competitor; 95 % intervals by bootstrap of whole runs, so a few runs say little "
    "(Agarwal et al. 2021)."
)


def estimate(value: Interval) -> Cell:
    """An estimate and half the width of its interval."""
    return Cell(value.value, value.half)


def gain_text(gain: float) -> str:
    """A profit gain, without the sign that rounding would leave before a zero."""
    return f"{round(gain, 2) + 0.0:.2f}"


def played(episodes: int, spec: MarketSpec, settings: Evaluation) -> str:
    """How many episodes of what length, and how profit was counted."""
    number = f"{episodes} episodes" if episodes > 1 else "1 episode (too few for intervals)"
    valued = f", stock valued at {settings.salvage:g} x unit cost" if spec.stocked else ""
    skipped = f", the first {settings.warm_up} skipped" if settings.warm_up else ""
    return f"{number} of {spec.horizon} {spec.period}s{skipped}{valued}"


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
    notes = [*map(Note, _verdicts(comparison)), Note(_how(comparison, spec, settings), "note")]
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


def _how(comparison: Comparison, spec: MarketSpec, settings: Evaluation) -> str:
    episodes = len(comparison.results[0].profit)
    short = "" if episodes == 1 or precise(comparison.results, settings.precision) else _imprecise(settings)
    intervals = "" if episodes == 1 else "; 95 % intervals (± half their width), by bootstrap over episodes"
    lines = [f"{played(episodes, spec, settings)}{intervals}; the same customers for every row.{short}"]
    if comparison.sellers > 1:
        lines.append(_what_gain_is(comparison, spec))
    if comparison.changed:
        lines.append(f"Changed since training: {'; '.join(comparison.changed)}.")
    return "\n".join(lines) + "\n"


def _what_gain_is(comparison: Comparison, spec: MarketSpec) -> str:
    if comparison.ends is None:
        return f"No profit gain: {comparison.no_gain}."
    low, high = (end.mean(axis=0).sum() for end in comparison.ends.both)
    return (
        f"Profit gain: of all sellers together, 0 where all post Nash prices ({low:.4g} a {spec.period}), 1 where all "
        f"post joint-profit prices ({high:.4g})."
    )


def _imprecise(settings: Evaluation) -> str:
    return (
        f" Not as precise as asked: an interval of the difference is wider than {settings.precision:.2%} of the best "
        "fixed competitor's profit (evaluation.precision); more episodes narrow it."
    )


# ------------------------------------------------------------------------------------------------ several line-ups


def line_ups_table(line_ups: AcrossLineUps, spec: MarketSpec, settings: Evaluation) -> Table:
    """One seat over all line-ups, best first, and what it says of the entrants."""
    columns = [Column(""), Column(f"profit a {spec.period}"), Column("to best fixed overall")]
    columns += [Column("worst against"), Column("to best fixed there", "{:+.2%}")]
    rows = [Row(_overall_cells(line_ups, one), "judged" if one.entrant else "") for one in line_ups.standings]
    notes = [*map(Note, _overall_verdicts(line_ups)), Note(_overall_how(line_ups, spec, settings), "note")]
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


def _overall_how(line_ups: AcrossLineUps, spec: MarketSpec, settings: Evaluation) -> str:
    numbers = sorted({len(comparison.results[0].profit) for comparison in line_ups.comparisons})
    span = f"{numbers[0]} to " if len(numbers) > 1 else ""
    return (
        f"Each line-up counts the same; {span}{played(numbers[-1], spec, settings)}. 95 % intervals (± half their "
        "width) by bootstrap, stratified over line-ups: the same episodes are drawn in all of them, which meet the "
        "same customers.\n"
    )


# ------------------------------------------------------------------------------------------------ several runs


def runs_notes(found: Sequence[AcrossRuns]) -> Iterator[Note]:
    """What several training runs of a seller say together; of one alone, that it is one."""
    several = [runs for runs in found if len(runs.policies) > 1]
    for runs in several:
        if all(comparison.best is not None for comparison in runs.comparisons):
            yield Note(_over_runs(runs))
    for runs in found:
        if several and runs not in several:
            yield Note(f"{runs.seller}: {ONE_SEED}", "note")
    if several:
        yield Note(HOW_RUNS + "\n", "note")
    elif found:
        yield Note(f"{ONE_SEED[0].upper()}{ONE_SEED[1:]}\n", "note")


def _over_runs(runs: AcrossRuns) -> str:
    low, high = (_score(runs, end) for end in runs.ends)
    of = "more a period than the best fixed competitor" if runs.in_money else "of the best fixed competitor's profit"
    middle, chance, enough = runs.middle, runs.improvement, len(runs.policies) > 2
    between = f" [{_score(runs, middle.low)}, {_score(runs, middle.high)}]" if enough else ""
    likely = f" [{chance.low:.2f}, {chance.high:.2f}]" if enough else ""
    return (
        f"{runs.seller} over {len(runs.policies)} runs: interquartile mean {_score(runs, middle.value)}{between} {of}; "
        f"probability of improvement {chance.value:.2f}{likely}; range {low} to {high}."
        + ("" if enough else " An interval needs three runs.")
    )


def _score(runs: AcrossRuns, value: float) -> str:
    return f"{value:+.4g}" if runs.in_money else f"{value:+.2%}"
