"""A forecast's page and picture: the same panels, and a browser draws them."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.sales.forecast_charts import draw
from policies.sales.forecast_page import page
from policies.sales.forecast_view import unknown, verdict
from tests.helpers.browser import browser, visit
from tests.helpers.extras import needs
from tests.helpers.forecasts import printed, ran, two_sellers

pytestmark = needs("statsforecast")


def test_the_backtest_that_chose_comes_after_what_choosing_was_worth(tmp_path: Path) -> None:
    result = ran(two_sellers(tmp_path), folds=4)
    words, late, table = unknown(result), "chosen by earlier folds alone", "best fold"
    flat = " ".join(printed(result).split())
    assert flat.index(words) < flat.index("Units ahead") < flat.index(late) < flat.index(table)
    written = page(result).text().rpartition("<main")[2]
    assert written.index(words) < written.index("Units a period") < written.index(late) < written.index(table)
    titles = [axes.get_title(loc="left") for axes in draw(result).axes]
    assert titles == [f"{one.series.name} ({one.chosen.model})" for one in result.outlooks]


def test_the_picture_has_a_panel_a_series_and_the_page_needs_no_network(tmp_path: Path) -> None:
    result = ran(two_sellers(tmp_path), horizon=1, folds=2)
    shown = [axes for axes in draw(result).axes if axes.get_visible()]
    assert [axes.get_title(loc="left").split()[0] for axes in shown] == ["ann", "bob"]
    text = page(result).text()
    assert "bazaar forecast" in text and "Content-Security-Policy" in text and "<script src" not in text
    assert all(verdict(one) in text for one in result.outlooks)


@pytest.mark.skipif(browser() is None, reason="no Chromium here: Debian's package chromium has it")
def test_a_browser_draws_the_page_without_network_or_errors(tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    out.write_text(page(ran(two_sellers(tmp_path), folds=1)).text(), encoding="utf-8")
    seen = visit(out)
    assert seen.console == [] and seen.requests == [] and seen.charts == 1
    assert "ann (" in seen.dom and "bob (" in seen.dom
