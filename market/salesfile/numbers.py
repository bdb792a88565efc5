"""Numbers of a sales file: what each column may hold, and what to do about texts that are none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from market.salesfile.findings import Findings, named

if TYPE_CHECKING:
    import pandas as pd

MOST = 1e12  # whole numbers up to here are exact, and no sales are larger
PROMOTION = "promo_"
NOTHING = ("", "na", "n/a", "nan", "null", "none", "-", "--", ".", "missing", "#n/a")
TRUTHS = {"true": "1", "false": "0"}


class Rule(NamedTuple):
    """From ``least`` (itself only if ``closed``) to ``most``."""

    words: str
    least: float
    closed: bool
    most: float = MOST

    def holds(self, values: pd.Series[float]) -> pd.Series[bool]:
        """By row; never for NaN."""
        return (values >= self.least if self.closed else values > self.least) & (values <= self.most)


RULES = {
    "price": Rule("a number > 0", 0, closed=False),
    "units": Rule("a number >= 0", 0, closed=True),
    "cost": Rule("a number >= 0", 0, closed=True),
    "market_size": Rule("a number > 0", 0, closed=False),
}
SHARE = Rule("a number from 0 to 1", 0, closed=True, most=1)
HINTS = (
    (r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?", "write it without thousands separators"),
    (r"[-+]?(\d+|\d{1,3}(\.\d{3})+),\d+", "write decimals with a point, and no thousands separators"),
    (r".*[$€£¥].*|.*\d\s*[A-Za-z]{1,3}", "write the number alone, without a currency or a unit"),
    (r".*%", "write 0.25 for 25%"),
)


SHARE_HINTS = (
    (r"(?i)yes|no|y|n|on|off|t|f|x", "write 1 or 0"),
    (r"\+?0*([2-9]|[1-9]\d|100)(\.\d*)?|\+?0*1\.\d+", "where this is a percentage, divide by 100"),
)
UNIT_HINTS = ((r"-\d+(\.\d*)?", "net returns out or drop them"),)


def read_numbers(rows: pd.DataFrame, kind: str, found: Findings) -> None:
    """Turn columns of texts that must be numbers into numbers, and find those out of range; in place."""
    import pandas as pd

    for name in rows.columns:
        rule = SHARE if name.startswith(PROMOTION) else RULES.get(name)
        if rule is None:
            continue
        text = rows[name].map(lambda one: TRUTHS.get(one.lower(), one)) if rule is SHARE else rows[name]
        values = pd.to_numeric(text, errors="coerce").astype("float64").replace([np.inf, -np.inf], np.nan)
        good = rule.holds(values)
        if not good.all():
            bad = rows.index[~good]
            found.error(
                f"{named(kind, rows.loc[bad, 'line'])}: {name} must be {rule.words} ({_got(text[bad[0]], name)})"
            )
        rows[name] = values


def _got(text: str, name: str) -> str:
    got = "got missing" if text == "" else f"got {text!r}"
    if text.lower() in NOTHING:
        if name in ("price", "units"):
            return f"{got}: leave out the rows of a seller that was not there"
        return f"{got}: give it in every row, or leave the column out"
    own = SHARE_HINTS if name.startswith(PROMOTION) else UNIT_HINTS if name == "units" else ()
    for pattern, hint in (*HINTS, *own):
        if re.fullmatch(pattern, text):
            return f"{got}: {hint}"
    try:
        return f"{got}: at most {MOST:.0e}" if abs(float(text)) > MOST else got
    except ValueError:
        return got
