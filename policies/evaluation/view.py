"""Comparisons as tables: of one seat against one line-up, over several line-ups, and over several training runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from market.spec.models import MarketSpec
from policies.config.run import Evaluation
from policies.evaluation.aggregate import AcrossLineUps, AcrossRuns, Overall
from policies.evaluation.compare import Comparison, Result, precise
from policies.evaluation.statistics import Interval
from policies.views.format import Format, off_file, posted
from policies.views.page import footnote, told
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
GAIN = "profit gain"
IMPORTANT = ("price", "market_share", "fill_rate")  # where there is no room for all
LEAST = 3  # columns that are shown in any case: the name, its profit and the difference


def estimate(value: Interval) -> Cell:
    """An estimate and half the width of its interval."""
    return Cell(value.value, value.half)


def gain_text(gain: float) -> str:
    """A profit gain, without the sign that rounding would leave before a zero."""
    return f"{round(gain, 2) + 0.0:.2f}"


MONEY, SHARE = "{:+.4g}", "{:+.2%}"


def difference(gap: Interval | None, base: float | None) -> Cell | None:
    """A difference as a share of ``base``, or as money where there is none (``policies.evaluation.compare.share_base``)."""
    if gap is None:
        return None
    shown = gap if base is None else gap.scaled(base)
    return Cell(shown.value, shown.half, form=MONEY if base is None else SHARE)


# ------------------------------------------------------------------------------------------------ one line-up


def comparison_table(comparison: Comparison, spec: MarketSpec, settings: Evaluation) -> Table:
    """One seat against one line-up, best first, and in words what it says of the entrants."""
    ranked = sorted(comparison.results, key=lambda result: -result.mean)
    measures = [key for key in MEASURES if key in ranked[0].summary()]
    columns = [Column(""), Column(f"profit a {spec.period}"), Column("to best fixed")]
    columns += [Column(GAIN, gain_text)] if comparison.sellers > 1 else []
    level = f"{100 * settings.risk_level:.3g}%"
    seller = spec.sellers[spec.names.index(comparison.seat)]
    forms: dict[str, Format] = {
        key: posted(seller, form) if key == "price" else form for key, (_, form) in MEASURES.items()
    }
    columns += [
        Column(MEASURES[key][0].format(level=level), forms[key], important=key in IMPORTANT) for key in measures
    ]
    rows = [Row(_cells(comparison, one, measures), "judged" if one.entrant else "") for one in ranked]
    asked = comparison.precision or settings.precision
    precisely = len(ranked[0].profit) == 1 or precise(comparison.results, asked)
    about = {"comparison": comparison, "spec": spec, "settings": settings, "precise": precisely, "asked": asked}
    verdicts = map(Note, told("evaluation.txt", "verdicts", comparison=comparison))
    seen = off_file((seller, one.summary().get("price")) for one in ranked)
    notes = [*verdicts, *([Note(seen, "note")] if seen else [])]
    notes += [Note(text, "note") for text in told("evaluation.txt", "how_played", **about)]
    notes += [Note(text, "note", of=GAIN) for text in told("evaluation.txt", "gain", comparison=comparison, spec=spec)]
    notes += [footnote("evaluation.txt", "one_line_up", comparison=comparison, spec=spec)]
    return Table(_title(comparison), columns, rows, notes, least=LEAST)


def _title(comparison: Comparison) -> str:
    """Who is evaluated, against whom, and whether in a market that it did not learn in."""
    against = f" against {named(comparison)}" if comparison.sellers > 1 else ""
    changed = ", in a market that differs from training" if comparison.changed else ""
    return f"{comparison.seat}{against}{changed}"


def named(comparison: Comparison) -> str:
    """The rivals: the rules that all of them follow, or who they are and why they are rivals."""
    return f"{comparison.rivals}, {comparison.line_up}" if comparison.rivals else comparison.line_up


def _cells(comparison: Comparison, result: Result, measures: Sequence[str]) -> list[Cells]:
    standing, best, summary = comparison.standings[result.policy], comparison.best, result.summary()
    gap = None if best is None or result is best else difference(standing.gap, best.base)
    gain = [standing.gain] if comparison.sellers > 1 else []
    name = f"{result.policy} (knows the market)" if result.reference else result.policy
    return [name, estimate(standing.profit), gap, *gain, *(summary[key] for key in measures)]


# ------------------------------------------------------------------------------------------------ several line-ups


def line_ups_table(line_ups: AcrossLineUps, spec: MarketSpec, settings: Evaluation) -> Table:
    """One seat over all line-ups, best first, and what it says of the entrants."""
    columns = [Column(""), Column(f"profit a {spec.period}"), Column("to best fixed overall")]
    there = Column("to best fixed there", MONEY if line_ups.in_money else SHARE, important=True)
    columns += [Column("worst against", important=True), there]
    rows = [Row(_overall_cells(line_ups, one), "judged" if one.entrant else "") for one in line_ups.standings]
    episodes = sorted({len(comparison.results[0].profit) for comparison in line_ups.comparisons})
    verdicts = map(Note, told("evaluation.txt", "overall_verdicts", line_ups=line_ups))
    notes = [*verdicts, footnote("evaluation.txt", "line_ups", episodes=episodes, spec=spec, settings=settings)]
    return Table(f"{line_ups.seat} over {len(line_ups.comparisons)} line-ups", columns, rows, notes, least=LEAST)


def _overall_cells(line_ups: AcrossLineUps, one: Overall) -> list[Cells]:
    gap = None if one.policy == line_ups.best else difference(one.gap, line_ups.base)
    return [one.policy, estimate(one.profit), gap, one.worst, one.behind]


# ------------------------------------------------------------------------------------------------ several runs


def runs_notes(found: Sequence[AcrossRuns]) -> Iterator[Note]:
    """What several training runs of a seller say together; of one alone, that it is one."""
    several = [runs for runs in found if len(runs.policies) > 1]
    for runs in several:
        if all(comparison.best is not None for comparison in runs.comparisons):
            yield from map(Note, told("evaluation.txt", "over_runs", runs=runs))
    if found:
        yield footnote("evaluation.txt", "how_runs", several=several, found=found)
