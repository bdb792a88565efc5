"""The forecast as one HTML page: the panels, both tables, warnings, and how to read them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from market.simulation.render import INK
from policies.common import files as disk
from policies.sales.forecast_panels import HUES, KEY, Panel, heading, panels_of
from policies.sales.forecast_view import HEADS, MOST, WORDS, ahead_columns, backtest_rows, how, unknown, verdict
from policies.views.charts import Chart, colour, dress, faint, panels
from policies.views.page import Page

if TYPE_CHECKING:
    from policies.sales.forecast import Forecasts

COLUMNS = 2
FEW = 6  # series beside one another in a table


def write_page(result: Forecasts, path: Path) -> None:
    """Write the page; nothing in it needs the network."""
    disk.replace(path, page(result).text().encode())


def page(result: Forecasts) -> Page:
    """The page of all series; of many, charts of the first."""
    found = Page(f"Forecast of {result.sales.path.name}", _lead(result), command="forecast")
    found.section("forecast", "Forecast")
    found.paragraph(unknown(result))
    found.chart(chart(result))
    for warning in result.warnings[:MOST]:
        found.paragraph(f"{warning}.", "missing")
    if len(result.warnings) > MOST:
        found.paragraph(f"And {len(result.warnings) - MOST} more warnings, which --json writes.", "missing")
    _tables(found, result)
    found.section("backtest", "Backtest")
    for one in result.outlooks[:MOST]:
        found.paragraph(verdict(one))
    rows = [row for one in result.outlooks for row in backtest_rows(one)]
    chosen = [score is one.chosen for one in result.outlooks for score in one.scores]
    found.table(HEADS, rows, judged=chosen, text=WORDS)
    for line in how(result):
        found.paragraph(line, "note")
    return found


def _lead(result: Forecasts) -> str:
    sales, plan = result.sales, result.plan
    number = len(result.outlooks)
    return (
        f"{number} series to {sales.labels[-1]}, {plan.horizon} {result.unit} ahead; models chosen in a backtest of "
        f"{plan.folds} fold{'s' if plan.folds > 1 else ''}."
    )


def _tables(found: Page, result: Forecasts) -> None:
    periods, *columns = ahead_columns(result, result.outlooks)
    for first in range(0, len(columns), FEW):
        some = [periods, *columns[first : first + FEW]]
        found.table([column[0] for column in some], list(zip(*(column[1:] for column in some), strict=True)))


def chart(result: Forecasts) -> Chart:
    """The panels, two beside one another."""
    drawn = panels_of(result)
    columns = min(COLUMNS, len(drawn))
    rows = -(-len(drawn) // columns)
    figure = panels(rows, columns, [one.title for one in drawn], vertical_spacing=0.28 / rows, horizontal_spacing=0.09)
    for k, panel in enumerate(drawn):
        _draw(figure, panel, k % HUES, {"row": k // columns + 1, "col": k % columns + 1})
    figure.update_yaxes(rangemode="tozero")
    dress(figure, 60 + 250 * rows, showlegend=False, hovermode="x unified", margin={"l": 60, "r": 16, "t": 30, "b": 40})
    return Chart(heading(result), figure, KEY)


def _draw(figure: Any, panel: Panel, k: int, at: dict[str, int]) -> None:
    import plotly.graph_objects as go

    ahead, forecast = panel.ahead, panel.outlook.forecast
    shown = {"hovertemplate": "%{y:,.4~r}"}
    figure.add_trace(
        go.Scatter(x=panel.past, y=panel.units, name="sold", line={"color": INK, "width": 1.3}, **shown), **at
    )
    for periods, mean in panel.tried:
        dashed = {"color": colour(k), "width": 1.2, "dash": "dash"}
        mode = "lines" if len(mean) > 1 else "markers"
        figure.add_trace(go.Scatter(x=periods, y=mean, name="backtest", line=dashed, mode=mode, **shown), **at)
    edge = {"mode": "lines", "line": {"width": 0}} | shown
    figure.add_trace(go.Scatter(x=ahead, y=forecast.low, name="low", **edge), **at)
    band = {"fill": "tonexty", "fillcolor": faint(k, 0.2)}
    figure.add_trace(go.Scatter(x=ahead, y=forecast.high, name="high", **band, **edge), **at)
    if len(ahead) == 1:  # no area: a bar
        bar = {"x": [*ahead, *ahead], "y": [forecast.low[0], forecast.high[0]], "hoverinfo": "skip"}
        figure.add_trace(go.Scatter(**bar, mode="lines", line={"color": faint(k, 0.3), "width": 6}), **at)
    line = {"color": colour(k), "width": 2}
    figure.add_trace(
        go.Scatter(x=ahead, y=forecast.mean, name="mean", line=line, mode="lines+markers", marker={"size": 4}, **shown),
        **at,
    )
