"""A page of templates: values are text, sections and charts are numbered, and what a browser says of it can be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from market.forecast.backtest import BacktestPlan
from policies.views.charts import dress, panels
from policies.views.page import Page, sentences, told
from policies.views.table import Column, Table
from tests.helpers.browser import browser, visit

needs_browser = pytest.mark.skipif(browser() is None, reason="no Chromium here: Debian's package chromium has it")


NOTHING = Table("", [Column("")], [])


def small_page(**values: Any) -> Page:
    """A forecast's page, since it shows few values."""
    usual: dict[str, Any] = dict.fromkeys(("file", "last", "unit", "unknown", "heading", "key"), "")
    usual |= dict.fromkeys(("warnings", "verdicts", "how"), ()) | {"figure": None, "warnings_left": 0}
    usual |= {"series": 1, "plan": BacktestPlan(1), "ahead": NOTHING, "backtest": NOTHING}
    return Page("forecast.html", **(usual | values))


def test_names_are_not_html() -> None:
    table = Table("<caption>", [Column("<b>")], [["a+<u>"]])
    page = small_page(
        file="<i>run</i>", last="a & b", heading="<script>alert(1)</script>", ahead=table, verdicts=["<p>"]
    )
    body = page.text().split("<body>")[1]
    assert "<i>" not in body and "alert(1)</script>" not in body and "<u>" not in body and "<b>" not in body
    assert "&lt;i&gt;run" in body and "a<wbr>+&lt;u&gt;" in body and "a &amp; b" in body and "&lt;p&gt;" in body


def test_sections_are_listed_at_the_top() -> None:
    head, _, main = small_page().text().split("<body>")[1].partition("<main>")
    assert '<a href="#forecast">Forecast</a>' in head and '<a href="#backtest">Backtest</a>' in head
    assert '<h2 id="forecast">Forecast</h2>' in main and '<h2 id="backtest">Backtest</h2>' in main


def test_a_value_that_is_not_given_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="'backtest' is undefined"):
        page = small_page()
        del page.values["backtest"]
        page.text()


def test_sentences_are_plain_text() -> None:
    class Alone:
        label, row, found = "a & b (dqn)", None, None

    assert sentences("headline.html", one=Alone, spec=None) == "a & b (dqn) was not evaluated before the run ended."


def test_what_is_told_is_plain_text_and_empty_lines_part_it() -> None:
    paragraphs = told("forecast.txt", "how", plan=BacktestPlan(3), season="a & <b>")
    assert len(paragraphs) == 4 and paragraphs[2].startswith("Season: a & <b>")
    assert all(text == " ".join(text.split()) for text in paragraphs)


@needs_browser
def test_the_browser_check_catches_a_request(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(
        '<!DOCTYPE html><body><script src="https://cdn.plot.ly/plotly.js"></script><img src="http://a.test/x.png">'
    )
    assert visit(page).requests == ["http://a.test/x.png", "https://cdn.plot.ly/plotly.js"]


@needs_browser
def test_the_browser_check_counts_only_charts_that_were_drawn(tmp_path: Path) -> None:
    import plotly.graph_objects as go

    figure = panels(1, 1)
    figure.add_trace(go.Scatter(x=[1, 2], y=[1, 2]))
    empty = '<div class="plotly-graph-div" id="empty"></div></main>'
    file = tmp_path / "page.html"
    file.write_text(small_page(figure=dress(figure, 200)).text().replace("</main>", empty), encoding="utf-8")
    assert visit(file).charts == 1
