"""Numbers as the terminal and as a page shows them: signs, digits, intervals. Plain text, no HTML."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import TypeGuard

from market.spec.models import SellerSpec

Format = str | Callable[[float], str]  # how a number is written: a format, or what writes it
ABSENT = "-"  # on the terminal
DASH = "–"  # in a page
MINUS = "−"
OFF_FILE = "†"  # after a price that lies outside what the sales file holds


def amount(value: float | None, form: Format = "{:.4g}", half: float | None = None) -> str:
    """A number as the terminal shows it, and half the width of its interval where it has one; a dash for none.

    The half-width has two digits where the number has digits, and no sign: 4.7312, 0.0431: 4.731 ± 0.043.
    """
    if not _known(value):
        return ABSENT
    text = _written(value, form)
    return f"{text} ± {_written(half, _half_form(form))}" if _known(half) else text


def number(value: object, form: Format = "{:.4g}", half: float | None = None) -> str:
    """The same as a page shows it, with a proper minus sign and thin grouping. -1234.5: −1,234 (4 digits)."""
    if not _known(value):
        return DASH
    form = "{:,.0f}" if form == "{:.4g}" and 1e4 <= abs(value) < 1e15 else form
    return amount(value, form, half).replace("-", MINUS).replace("%", " %")


def _known(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _written(value: float, form: Format) -> str:
    return form.format(value) if isinstance(form, str) else form(value)


def _half_form(form: Format) -> Format:
    if not isinstance(form, str):
        return form
    return "{:.2g}" if form.endswith("g}") else re.sub(r":\+?\d*", ":", form)


def percent(share: float, digits: int = 3) -> str:
    """0.05 as 5 %, 0.025 as 2.5 %."""
    return f"{100 * share:.{digits}g} %"


def column_form(values: Iterable[object], digits: int = 4) -> str:
    """One format for a column of amounts: as many decimals as show so many digits of the largest. 5.3, 4.65: 5.300, 4.650."""
    sizes = [abs(v) for v in values if isinstance(v, int | float) and math.isfinite(v)]
    largest = max(sizes, default=0.0)
    decimals = digits - 1 - (math.floor(math.log10(largest)) if largest > 0 else 0)
    return f"{{:,.{min(max(decimals, 0), 8)}f}}"


def posted(seller: SellerSpec, form: str = "{:.3f}") -> Callable[[float], str]:
    """How a seller's price is written wherever it is advised or shown: marked where it lies outside its prices on file."""
    return lambda price: f"{form.format(price)} {OFF_FILE}" if seller.off_file(price) else form.format(price)


def off_file(prices: Iterable[tuple[SellerSpec, float | None]]) -> str:
    """What the mark of :func:`posted` means, naming the sellers whose prices have it; empty where none has."""
    marked = {one.name: one.prices_on_file for one, price in prices if price is not None and one.off_file(price)}
    if not marked:
        return ""
    ranges = ", ".join("{} {:g} to {:g}".format(name, *known) for name, known in marked.items() if known is not None)
    return f"{OFF_FILE} outside the prices on file ({ranges}): what customers do there nobody has seen."


def units(value: float) -> str:
    """Units as people write them: whole from 100 on, four digits below."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.4g}"


def figure(value: float) -> str:
    """Of any kind: whole numbers and large ones without decimals, others with three."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3f}"


def small(value: float) -> str:
    """A small size in words: 0.0123: 0.012; 0.00006: less than 0.001."""
    return "less than 0.001" if value < 0.001 else number(value, "{:.2g}")


def counted(amount: int, what: str) -> str:
    """1 seller, 2 sellers."""
    return f"{amount:,} {what}{'' if amount == 1 else 's'}"


def spaced(text: str) -> str:
    """``5%`` as ``5 %``, and no new line between them."""
    return re.sub(r"(?<=\d) ?%", "\u00a0%", text)
