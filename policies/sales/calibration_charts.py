"""The calibration page's figures and charts: elasticities' intervals, demand curves, promotions' lifts, held-out weeks.

Charts are plotly figures; their titles and notes stand in the page. N sellers, P points of a curve.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from market.calibration.calibrate import Calibration
from market.calibration.fit import shares
from market.calibration.moment import market_means
from market.calibration.regression.logit import Coefficient
from market.calibration.validation import Validation
from market.salesfile.table import Sales
from market.state import Floats
from policies.views.charts import GREY, PALE_GREY, WIDE, colour, dress, faint, grid, line_style, panels
from policies.views.format import number

Z95 = 1.959964  # of a normal distribution, two-sided
POINTS = 41


@dataclass(frozen=True)
class Curve:
    """Expected ``units`` (P,) of a seller at its own ``price`` (P,), those of the others at their means."""

    seller: str
    price: Floats
    units: Floats
    mean: tuple[float, float]
    cost: float


@dataclass(frozen=True)
class Lift:
    """What a promotion adds to a seller's own units and to all rivals' together, as shares of them."""

    own: float
    rivals: float


def interval(one: Coefficient) -> tuple[float, float]:
    """The 95 % interval of an estimate."""
    return one.value - Z95 * one.error, one.value + Z95 * one.error


def mean_utility(found: Calibration) -> Floats:
    """Utilities (N,) at which a market without shocks sells the mean shares: Berry (1994), eq. 28, inverted.

    Shares 0.2 and 0.3 without a nest: ``ln(0.2 / 0.5)`` and ``ln(0.3 / 0.5)``.
    """
    share, rho = found.share, found.fit.fitted.nest
    return np.asarray(np.log(share) - np.log(1.0 - share.sum()) - rho * np.log(share / share.sum()))


def expected(found: Calibration, utility: Floats) -> Floats:
    """Shares (P, N) of the market size at utilities (P, N)."""
    return shares(utility, found.fit.fitted.nest)


def demand_curve(found: Calibration, seat: int) -> Curve:
    """Units a period in a market of mean size, over the range of prices that the file has."""
    seller, one = found.sellers[seat], found.fit.fitted
    seen = found.sales.rows.loc[found.sales.rows["seller"] == seller, "price"]
    price = np.linspace(float(seen.quantile(0.01)), float(seen.quantile(0.99)), POINTS)
    mean, size = float(found.price[seat]), mean_size(found)
    utility = np.tile(mean_utility(found), (POINTS, 1))
    moved = np.log(price / mean) if one.form == "log" else price - mean
    utility[:, seat] -= one.alpha.value * moved
    units = size * expected(found, utility)[:, seat]
    return Curve(seller, price, units, (mean, size * float(found.share[seat])), found.cost[seller])


def mean_size(found: Calibration) -> float:
    """Mean market size in units, over markets."""
    return float(np.mean(list(market_means(found).values())))


def lifts(found: Calibration) -> dict[str, Lift]:
    """What the market's promotion does, by seller; empty where there is none.

    Without a nest, share 0.2 and an effect of ln 2: ``2 x 0.2 / 1.2 / 0.2 - 1`` = 67 % more units of its own.
    """
    if found.fit.promotions is None:
        return {}
    found_lifts, base = {}, mean_utility(found)
    for seat, seller in enumerate(found.sellers):
        utility = base.copy()
        utility[seat] += found.fit.promotions.effect
        after, others = expected(found, utility[None])[0], np.arange(len(base)) != seat
        rivals = float(after[others].sum() / found.share[others].sum() - 1.0)
        found_lifts[seller] = Lift(float(after[seat] / found.share[seat] - 1.0), rivals)
    return found_lifts


def season_labels(found: Calibration) -> dict[str, str]:
    """What to call each season: by the date at which it begins in the file's first cycle, or by its periods."""
    names, season, sales = list(found.fit.fitted.season), found.fit.design.season, found.sales
    if sales.has("season"):
        return {name: name for name in names}
    return {name: _begins(sales, int(name) * season.width, season.width) for name in names}


def _begins(sales: Sales, first: int, width: int) -> str:
    if sales.dates is None:
        return f"{first + 1}" if width == 1 else f"{first + 1}–{first + width}"
    form = {"day": "%a", "month": "%b"}.get(sales.step, "%-d %b")
    return str(sales.dates[first].strftime(form))


def times(sales: Sales) -> list[str] | list[int]:
    """The axis of periods: dates where the file has them, else its numbers."""
    return sales.labels if sales.dates is not None else [int(label) for label in sales.labels]


def correlation(real: Sequence[float] | Floats, market: Sequence[float] | Floats) -> float | None:
    """Of two series of units; None where one does not vary."""
    x, y = np.asarray(real, np.float64), np.asarray(market, np.float64)
    both = np.isfinite(x) & np.isfinite(y)
    if both.sum() < 3 or x[both].std() == 0 or y[both].std() == 0:
        return None
    found = float(np.corrcoef(x[both], y[both])[0, 1])
    return found if math.isfinite(found) else None


def absent(sales: Sales) -> int:
    """Rows that a file without gaps would have more: periods of a market in which a seller that it knows has none."""
    rows = sales.rows
    span = rows.groupby("market")["period"].agg(lambda period: int(period.max()) - int(period.min()) + 1)
    sellers = rows.groupby("market")["seller"].nunique()
    return int((span * sellers).sum()) - len(rows)


FEW = 4  # sellers below one another; more stand in two columns
ACROSS = 3  # demand curves in a row


def weeks_chart(found: Calibration, checked: Validation) -> Any:
    """Units by period, the file's and the market's, a panel for each seller."""
    sellers, time, wide = found.sellers, times(found.sales), weeks_by_seller(found, checked)
    rows, columns, places = grid(len(sellers), 1 if len(sellers) <= FEW else 2)
    titles = [_panel_title(name, *wide[name]) for name in sellers]
    figure = panels(rows, columns, titles, vertical_spacing=0.3 / rows, horizontal_spacing=0.09, shared_xaxes=True)
    shown = {"mode": "lines", "hovertemplate": "%{y:,.0f}"}
    for k, (name, at) in enumerate(zip(sellers, places, strict=True)):
        sold, market = wide[name]
        area = {"line": {"color": GREY, "width": 1}, "fill": "tozeroy", "fillcolor": PALE_GREY}
        figure.add_scatter(x=time, y=sold, name="sold (file)", **shown, **area, **at)
        figure.add_scatter(x=time, y=market, name="market", line=line_style(k), **shown, **at)
    figure.update_yaxes(rangemode="tozero", tickformat="~s")
    figure.update_yaxes(title="units", col=1)
    for at in places[-columns:]:  # the last panel of each column
        figure.update_xaxes(title=None if found.sales.dates is not None else "period", showticklabels=True, **at)
    return dress(figure, 50 + 185 * rows, top=28, bottom=44, showlegend=False, hovermode="x unified")


def weeks_by_seller(found: Calibration, checked: Validation) -> dict[str, tuple[list[Any], list[Any]]]:
    """Units of the file and of the market in every period, None where a seller has no row."""
    every = range(len(found.sales.labels))
    wide = checked.weeks.pivot(index="period", columns="seller", values=["units", "market"]).reindex(every)
    wide = wide.reindex(columns=[(kind, name) for kind in ("units", "market") for name in found.sellers])
    return {
        name: (_known(wide["units"][name].to_numpy()), _known(wide["market"][name].to_numpy()))
        for name in found.sellers
    }


def _known(values: Any) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


def _panel_title(name: str, real: list[Any], market: list[Any]) -> str:
    found = correlation(np.array(real, np.float64), np.array(market, np.float64))
    return name if found is None else f"{name} (correlation {number(found, '{:.2f}')})"


def unit(found: Calibration) -> str:
    """What one period is."""
    return found.sales.step if found.sales.step in ("day", "week", "month") else "period"


def scatter_chart(found: Calibration, checked: Validation) -> Any:
    """Every seller and period: sold against expected."""
    figure = panels()
    for k, (name, (real, market)) in enumerate(weeks_by_seller(found, checked).items()):
        marker = {"color": faint(k, 0.55), "size": 7, "symbol": k // 7, "line": {"width": 0.5, "color": colour(k)}}
        text = {"text": found.sales.labels, "hovertemplate": "%{text}: sold %{y:,.0f}, market %{x:,.0f}"}
        figure.add_scatter(x=market, y=real, name=name, mode="markers", marker=marker, **text)
    values = checked.weeks[["units", "market"]].to_numpy(np.float64)
    ends = low, high = float(values.min()), float(values.max())
    dashed = {"color": GREY, "dash": "dash", "width": 1.2}
    figure.add_scatter(x=ends, y=ends, mode="lines", line=dashed, name="equal", hoverinfo="skip")
    axis: dict[str, Any] = {"rangemode": "tozero"}
    if _logarithmic(checked):
        axis = {"type": "log", "dtick": "D2", "range": [np.log10(low) - 0.1, np.log10(high) + 0.1]}
    figure.update_xaxes(title="units the market expects", tickformat="~s", **axis)
    figure.update_yaxes(title=f"units sold in the {unit(found)}", tickformat="~s", **axis)
    legend = {"orientation": "v", "x": 1.02, "xanchor": "left", "y": 1, "yref": "paper"}
    return dress(figure, 520, top=10, right=200, width=760, legend=legend)


def _logarithmic(checked: Validation) -> bool:
    """Whether an axis of logarithms shows the units: all above 0, and far apart."""
    values = checked.weeks[["units", "market"]].to_numpy(np.float64)
    return bool(values.min() > 0 and values.max() > WIDE * values.min())


def skewed(checked: Validation) -> bool:
    """Whether most points of :func:`scatter_chart` lie below its line where that is no fault of the market."""
    below = float((checked.weeks["units"] < checked.weeks["market"]).mean())
    return _logarithmic(checked) and below > 0.5


def season_chart(found: Calibration) -> Any:
    """The seasons' utilities with their errors; None without seasons."""
    effects = found.fit.fitted.season
    if not effects:
        return None
    labels, values = season_labels(found), [one.value for one in effects.values()]
    errors = {"array": [Z95 * one.error for one in effects.values()], "color": colour(0), "thickness": 1.5, "width": 4}
    look = {"mode": "markers", "marker": {"color": colour(0), "size": 9}, "error_y": errors, "name": "season"}
    figure = panels()
    figure.add_hline(y=0, line={"color": GREY, "width": 1})
    figure.add_scatter(x=[*map(labels.get, effects)], y=values, hovertemplate="%{x}: %{y:+.3f}<extra></extra>", **look)
    figure.update_xaxes(type="category", showgrid=False, title=_cycle(found))
    figure.update_yaxes(title="utility, all sellers alike", tickformat="+.2f")
    return dress(figure, 300, top=10, showlegend=False)


def _cycle(found: Calibration) -> str:
    sales, season = found.sales, found.fit.design.season
    if sales.has("season"):
        return "season, as the file names it"
    if season.width > 1:
        return f"{season.width} {unit(found)}s from" if sales.dates is not None else f"{unit(found)}s of the cycle"
    return f"{unit(found)} of a cycle of {season.length}"


def curves_chart(found: Calibration) -> Any:
    """Expected units of each seller at its own price."""
    rows, columns, places = grid(len(found.sellers), ACROSS)
    figure = panels(rows, columns, found.sellers, vertical_spacing=0.34 / rows, horizontal_spacing=0.08)
    text = {"hovertemplate": "price %{x:.2f}: %{y:,.4~r} units<extra></extra>"}
    for k, at in enumerate(places):
        curve, line = demand_curve(found, k), {"color": colour(k), "width": 2.2}
        dot = {"color": colour(k), "size": 10, "line": {"color": "white", "width": 1.5}}
        figure.add_scatter(x=curve.price, y=curve.units, mode="lines", line=line, **text, **at)
        figure.add_scatter(x=curve.mean[:1], y=curve.mean[1:], mode="markers", marker=dot, **text, **at)
        figure.add_vline(x=curve.cost, line={"color": GREY, "dash": "dash", "width": 1.4}, **at)
        low, high = min(curve.cost, float(curve.price[0])), float(curve.price[-1])
        figure.update_xaxes(range=[low - 0.05 * (high - low), high + 0.05 * (high - low)], **at)
    figure.update_yaxes(rangemode="tozero", tickformat="~s")
    figure.update_yaxes(title=f"units a {unit(found)}", col=1)
    figure.update_xaxes(title="own price (money a unit)", row=rows)
    return dress(figure, 70 + 215 * rows, top=30, showlegend=False)
