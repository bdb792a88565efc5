"""Sales files drawn from a known logit, and the words and cells of a calibration's page."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from market.calibration.calibrate import Calibration
from market.calibration.comparison import FitCheck
from market.calibration.validation import Validation
from policies.sales.calibration_page import page
from policies.views.page import Page

NASTY = "promo_<b>feat</b>&"

PAGES: dict[tuple[int, bool], tuple[Calibration, Page]] = {}  # drawn once; holding the calibration keeps its id its own

ABSENT = (7, "bob", "south")


def sales_file(folder: Path, sellers: tuple[str, ...], markets: tuple[str, ...], **options: Any) -> Path:
    """Draws from a logit in log price, alpha 2.5, 60 periods."""
    rng = np.random.default_rng(3)
    promoted, dated = options.get("promoted", False), options.get("dated", False)
    heads = ["period", "seller", "price", "units", *(["market"] if len(markets) > 1 else [])]
    rows, weeks = [heads + ([NASTY] if promoted else [])], pd.date_range("2021-01-04", periods=60, freq="7D")
    for market in markets:
        for t in range(60):
            price = 2.0 * np.exp(rng.normal(0.0, 0.25, len(sellers)))
            feature = (rng.random(len(sellers)) < 0.25).astype(int) if promoted else np.zeros(len(sellers), int)
            utility = 0.3 - 2.5 * np.log(price) + 0.6 * feature + 0.2 * (t % 4 == 1) + rng.normal(0, 0.15, len(sellers))
            weight = np.exp(utility)
            units = rng.multinomial(4000, [*(weight / (1 + weight.sum())), 1 / (1 + weight.sum())])
            for k, seller in enumerate(sellers):
                if (t, seller, market) != ABSENT:
                    row = [weeks[t].date().isoformat() if dated else t + 11, seller, f"{price[k]:.2f}", units[k]]
                    rows.append(row + ([market] if len(markets) > 1 else []) + ([feature[k]] if promoted else []))
    path = folder / options.get("name", "sales.csv")
    path.write_text("\n".join(",".join(map(str, row)) for row in rows) + "\n")
    return path


def checked_of(found: Calibration) -> Validation:
    """Held-out weeks made up: the market sells a tenth more than the file in every period."""
    weeks = found.sales.rows.groupby(["period", "seller"])["units"].sum().reset_index()
    weeks["market"] = weeks["units"] * 1.1 + 1.0
    checks = [
        FitCheck("units in total", 1234.0, 1357.4, "within 5%", False),
        FitCheck("own price, log-log", -2.51, -2.5, "within 15%", True),
        FitCheck("rows in their 90% intervals", 0.9, 0.881, "at least 0.85", True),
    ]
    last = [replace(checks[1], market=-3.9, passed=False), replace(checks[0], name="share of <ann>", passed=True)]
    return Validation(checks, last, 357, 72, weeks)


def whole(found: Calibration, validated: bool = True) -> Page:
    key = id(found), validated
    if key not in PAGES:
        PAGES[key] = found, page(found, checked_of(found) if validated else None, "mine.yaml")
    return PAGES[key][1]


@cache
def body(made: Page) -> str:
    """The page's own HTML, without the library of charts and without the charts' data."""
    text = made.text().split("</head>", 1)[1]
    return re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)


def cells(made: Page) -> list[list[str]]:
    """Every row of every table, as text."""
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", body(made), flags=re.DOTALL)
    return [[unescape(re.sub(r"<[^>]*>", "", cell)) for cell in re.findall(r"<t[dh].*?</t[dh]>", row)] for row in rows]


def words(made: Page) -> str:
    """The page's text, broken over lines as a browser does: anywhere."""
    return re.sub(r"[ \n]+", " ", unescape(re.sub(r"<[^>]*>", "", body(made))))


def figure(value: float, form: str) -> str:
    """A number as the page writes it."""
    return form.format(value).replace("-", "−")
