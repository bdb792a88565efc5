"""The forecast as one HTML page: the panels, both tables, warnings, and how to read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from market.simulation.render import INK
from policies.sales.forecast_charts import COLUMNS, HUES, KEY, Panel, heading, panels_of
from policies.sales.forecast_view import MOST, ahead_table, backtest_table, how, unknown, verdict
from policies.views.charts import Place, colour, dress, faint, grid, panels
from policies.views.page import Page

if TYPE_CHECKING:
    from policies.sales.forecast import Forecasts


def page(result: Forecasts) -> Page:
    """The page of all series; of many, charts and words of the first. Nothing in it needs the network."""
    return Page(
        "forecast.html",
        file=result.sales.path.name,
        series=len(result.outlooks),
        last=result.sales.labels[-1],
        plan=result.plan,
        unit=result.unit,
        unknown=unknown(result),
        figure=chart(result),
        heading=heading(result),
        key=KEY,
        warnings=result.warnings[:MOST],
        warnings_left=len(result.warnings[MOST:]),
        ahead=ahead_table(result, result.outlooks),
        verdicts=[verdict(one) for one in result.outlooks[:MOST]],
        backtest=backtest_table(result, result.outlooks),
        how=how(result),
    )


def chart(result: Forecasts) -> Any:
    """The panels, two beside one another."""
    drawn = panels_of(result)
    rows, columns, places = grid(len(drawn), COLUMNS)
    figure = panels(rows, columns, [one.title for one in drawn], vertical_spacing=0.28 / rows, horizontal_spacing=0.09)
    for k, (panel, at) in enumerate(zip(drawn, places, strict=True)):
        _draw(figure, panel, k % HUES, at)
    figure.update_yaxes(rangemode="tozero")
    return dress(figure, 60 + 250 * rows, top=30, bottom=40, showlegend=False, hovermode="x unified")


def _draw(figure: Any, panel: Panel, k: int, at: Place) -> None:
    ahead, forecast = panel.ahead, panel.outlook.forecast
    shown: dict[str, Any] = {"hovertemplate": "%{y:,.4~r}"} | at
    figure.add_scatter(x=panel.past, y=panel.units, name="sold", line={"color": INK, "width": 1.3}, **shown)
    dashed = {"color": colour(k), "width": 1.2, "dash": "dash"}
    for periods, mean in panel.tried:
        mode = "lines" if len(mean) > 1 else "markers"
        figure.add_scatter(x=periods, y=mean, name="backtest", line=dashed, mode=mode, **shown)
    edge: dict[str, Any] = {"mode": "lines", "line": {"width": 0}} | shown
    figure.add_scatter(x=ahead, y=forecast.low, name="low", **edge)
    figure.add_scatter(x=ahead, y=forecast.high, name="high", fill="tonexty", fillcolor=faint(k, 0.2), **edge)
    if len(ahead) == 1:  # no area: a bar
        bar = {"x": [*ahead, *ahead], "y": [forecast.low[0], forecast.high[0]], "hoverinfo": "skip"}
        figure.add_scatter(**bar, mode="lines", line={"color": faint(k, 0.3), "width": 6}, **at)
    line = {"mode": "lines+markers", "line": {"color": colour(k), "width": 2}, "marker": {"size": 4}}
    figure.add_scatter(x=ahead, y=forecast.mean, name="mean", **line, **shown)
