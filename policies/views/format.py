"""What the report says in words and numbers: headline sentences, intervals, sensible digits. Plain text, no HTML."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from market.spec.models import MarketSpec

Row = Mapping[str, Any]
Form = str | Callable[[float], str]  # how a number is written: a format, or what writes it
ABSENT = "-"  # on the terminal
DASH = "–"  # in a page
MINUS = "−"

AMOUNT = "amount"  # a column's own format, see column_form

# What the headline table shows of a row of evaluation.json: key, head, format.
COLUMNS = {
    "probability_of_improvement": ("better in", "{:.0%}"),
    "profit_gain": ("profit gain", "{:.2f}"),
    "price": ("price", "{:.3f}"),
    "market_share": ("share", "{:.1%}"),
    "fill_rate": ("fill rate", "{:.1%}"),
    "stockout_rate": ("stockouts", "{:.1%}"),
    "conditional_value_at_risk": ("CVaR", AMOUNT),
    "maximum_drawdown": ("drawdown", AMOUNT),
}


def amount(value: float | None, form: Form = "{:.4g}", half: float | None = None) -> str:
    """A number as the terminal shows it, and half the width of its interval where it has one; a dash for none.

    The half-width has two digits where the number has digits, and no sign: 4.7312, 0.0431: 4.731 ± 0.043.
    """
    if not _known(value):
        return ABSENT
    text = _written(value, form)
    return f"{text} ± {_written(half, _half_form(form))}" if _known(half) else text


def number(value: object, form: Form = "{:.4g}", half: float | None = None) -> str:
    """The same as a page shows it, with a proper minus sign and thin grouping. -1234.5: −1,234 (4 digits)."""
    if not _known(value):
        return DASH
    form = "{:,.0f}" if form == "{:.4g}" and 1e4 <= abs(value) < 1e15 else form
    return amount(value, form, half).replace("-", MINUS).replace("%", " %")


def _known(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _written(value: float, form: Form) -> str:
    return form.format(value) if isinstance(form, str) else form(value)


def _half_form(form: Form) -> Form:
    if not isinstance(form, str):
        return form
    return "{:.2g}" if form.endswith("g}") else re.sub(r":\+?\d*", ":", form)


def column_form(values: Iterable[object]) -> str:
    """One format for a column of amounts: as many decimals as show four digits of the largest. 5.3, 4.65: 5.300, 4.650."""
    sizes = [abs(v) for v in values if isinstance(v, int | float) and math.isfinite(v)]
    largest = max(sizes, default=0.0)
    decimals = 3 - math.floor(math.log10(largest)) if largest > 0 else 3
    return f"{{:,.{min(max(decimals, 0), 8)}f}}"


def small(value: float) -> str:
    """A small size in words: 0.0123: 0.012; 0.00006: less than 0.001."""
    return "less than 0.001" if value < 0.001 else number(value, "{:.2g}")


def bounds(row: Row, key: str) -> tuple[float, float] | None:
    """The 95 % interval of a figure of evaluation.json: its two ends, or a half-width; None where it has none."""
    low, high = row.get(f"{key}_low"), row.get(f"{key}_high")
    if isinstance(low, int | float) and isinstance(high, int | float):
        return float(low), float(high)
    value, half = row.get(key), row.get(f"{key}_half_width")
    if isinstance(value, int | float) and isinstance(half, int | float):
        return float(value) - float(half), float(value) + float(half)
    return None


def plus_minus(row: Row, key: str, scale: float = 1.0, form: str = "{:.4g}", half_form: str = "{:.2g}") -> str:
    """A figure and the half-width of its interval, both divided by ``scale``. 4.7312, 0.0431: 4.731 ± 0.043."""
    value, ends = row.get(key), bounds(row, key)
    if not isinstance(value, int | float):
        return DASH
    text = number(value / scale, form)
    return text if ends is None else f"{text} ± {number((ends[1] - ends[0]) / 2 / abs(scale), half_form)}"


def to_best(row: Row, best: Row | None) -> str:
    """The difference to the best fixed competitor, as a share of its profit; money where that is nothing."""
    if best is None or row.get("policy") == best.get("policy") or row.get("difference") is None:
        return DASH
    scale = abs(float(best["profit"]))
    if scale == 0:
        return plus_minus(row, "difference", 1.0, "{:+.4g}")
    return plus_minus(row, "difference", scale, "{:+.2%}", "{:.2%}")


@dataclass(frozen=True)
class Headline:
    """What is said first of a learned seller: a figure, what it is, and a whole sentence; ``verdict`` -1, 0 or 1."""

    seller: str
    figure: str
    caption: str
    sentence: str
    verdict: int


def headline(spec: MarketSpec, label: str, row: Row | None, best: Row | None, found: float | None = None) -> Headline:
    """One sentence of a learned seller.

    Args:
        label: the seller, as "left (dqn)".
        row: of evaluation.json, None where there is none; ``best``: the best fixed competitor's.
        found: mean profit in the episodes that the report played itself, said where there is no row.
    """
    if row is None:
        played = f" In the episodes played for this report it earns {number(found)} a {spec.period}." if found else ""
        sentence = f"{label} was not judged before the run ended.{played}"
        return Headline(label, number(found), f"profit a {spec.period}", sentence, 0)
    alone = len(spec.sellers) == 1
    against = "" if alone else f", against {row.get('line_up')} in the other seat{'s' if len(spec.sellers) > 2 else ''}"
    form = column_form([row["profit"]])
    earns = f"{label} earns {plus_minus(row, 'profit', 1.0, form, form)} a {spec.period}{against}"
    if best is None or bounds(row, "difference") is None:
        return Headline(label, number(row["profit"]), f"profit a {spec.period}", f"{earns}.", 0)
    low, high = bounds(row, "difference") or (0.0, 0.0)
    verdict = 1 if low > 0 else -1 if high < 0 else 0
    scale = abs(float(best["profit"])) or 1.0
    size = number(abs(float(row["difference"])) / scale, "{:.2%}") if best["profit"] else number(abs(row["difference"]))
    word = {1: f"{size} more than", -1: f"{size} less than", 0: "no different, as far as can be told, from"}[verdict]
    ending = f"{word} the best fixed competitor, {best['policy']} ({number(best['profit'], form)})"
    better = row.get("probability_of_improvement")
    if isinstance(better, int | float):
        ending += f", and more in {number(better, '{:.0%}')} of episodes"
    return Headline(label, to_best(row, best), "to the best fixed competitor", f"{earns}: {ending}.", verdict)


def columns_of(rows: list[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    """Head and format of the measures that any of the rows has, in the order of the headline table."""
    found = {key: column for key, column in COLUMNS.items() if any(row.get(key) is not None for row in rows)}
    return {
        key: (head, column_form(row.get(key) for row in rows) if form == AMOUNT else form)
        for key, (head, form) in found.items()
    }


def count(amount: int, what: str) -> str:
    """1 seller, 2 sellers."""
    return f"{amount:,} {what}{'' if amount == 1 else 's'}"


def warm_up_words(periods: int) -> str:
    """That periods are not counted; nothing where all are."""
    return f", the first {periods:,} not counted" if periods else ""
