"""`bazaar forecast`: units of every seller some periods ahead, from a sales file, with the backtest that chose the model.

JSON has the whole backtest, CSV the forecasts alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from market.errors import UserError
from market.forecast.backtest import NAIVE, SEASONAL_NAIVE, Backtest, BacktestPlan, ModelScore, long_enough, planned
from market.forecast.models import backtest, require_statsforecast
from market.forecast.series import SEASONS, periods_ahead, series_of
from market.salesfile.table import Sales
from policies.common.files import jsonable, write_csv, write_file, write_json
from policies.common.progress import progress
from policies.common.results import Records
from policies.config.command import ordered_by
from policies.config.orders import ForecastOrder
from policies.sales.forecast_view import tables
from policies.sales.reading import read_ordered, refuse_outputs

DECIMALS = 3  # of units in the CSV: a person reads it


def as_data(result: Forecasts) -> dict[str, Any]:
    """Everything for JSON: what was asked, warnings, and of every series backtest and forecast."""
    plan, sales = result.plan, result.sales
    about = {"file": str(sales.path), "sha256": sales.sha256, "periods": len(sales.labels), "step": sales.step}
    about |= {"horizon": plan.horizon, "folds": plan.folds, "level": plan.level, "season": plan.season}
    about |= {"season_is": result.season, "warnings": list(result.warnings)}
    return jsonable(about | {"series": [_series(result, one) for one in result.outlooks]})


def _series(result: Forecasts, one: Backtest) -> dict[str, Any]:
    labels, series = result.sales.labels, one.series
    return {
        "seller": series.seller,
        "market": series.market,
        "first_period": labels[series.start],
        "last_period": labels[-1],
        "pattern": {"kind": one.pattern.kind, "interval": one.pattern.interval, "variation": one.pattern.variation},
        "model": one.chosen.model,
        "measure": one.measure,
        "beats_naive": one.beats(NAIVE),
        "beats_seasonal_naive": one.beats(SEASONAL_NAIVE),
        "late_folds": {"folds": len(one.late), "error": one.unseen, "naive": one.late_error(NAIVE)},
        "backtest": [
            _score(score, [labels[series.start + fold.begin] for fold in score.folds]) for score in one.scores
        ],
        "forecast": [
            {"period": period, "mean": mean, "low": low, "high": high} for period, mean, low, high in _rows(result, one)
        ],
        "all_periods_high": one.forecast.together,
    }


def _score(score: ModelScore, begins: list[str]) -> dict[str, Any]:
    folds = [
        {"first_period": begin, "mase": fold.mase, "scale": fold.scale, "crps": fold.crps}
        for begin, fold in zip(begins, score.folds, strict=True)
    ]
    crps = None if score.folds[0].crps is None else score.error
    figures = {"mase": score.mase, "crps": crps, "coverage": score.coverage, "bias": score.bias}
    return {"model": score.model} | figures | {"folds": folds}


def _rows(result: Forecasts, one: Backtest) -> list[tuple[str, float, float, float]]:
    columns = (one.forecast.mean.tolist(), one.forecast.low.tolist(), one.forecast.high.tolist())
    return list(zip(result.ahead, *columns, strict=True))


def csv_rows(result: Forecasts) -> Iterator[dict[str, Any]]:
    """A row a period and series: mean, low, high (units, to 3 decimals), model and level, the interval's probability.

    The market after the period where series have one.
    """
    markets = any(one.series.market is not None for one in result.outlooks)
    for one in result.outlooks:
        for period, *figures in _rows(result, one):
            units = dict(zip(("mean", "low", "high"), (round(figure, DECIMALS) for figure in figures), strict=True))
            market = {"market": one.series.market} if markets else {}
            about = {"period": period} | market | {"seller": one.series.seller}
            yield about | units | {"model": one.chosen.model, "level": result.plan.level}


PICTURES = (".png", ".html")


@dataclass(frozen=True)
class Forecasts(Records):
    """All outlooks of a file: ``ahead`` (H,) labels the periods forecast, ``season`` says which and why in words."""

    sales: Sales
    plan: BacktestPlan
    season: str
    outlooks: tuple[Backtest, ...]
    ahead: tuple[str, ...]
    warnings: tuple[str, ...]

    def records(self) -> list[dict[str, Any]]:
        """A row a period and series, as the CSV has them."""
        return list(csv_rows(self))

    @property
    def step(self) -> str:
        """What a period is called."""
        return self.sales.step if self.sales.step in SEASONS else "period"

    @property
    def unit(self) -> str:
        """The same for as many as the horizon has."""
        return self.step if self.plan.horizon == 1 else f"{self.step}s"


@ordered_by(ForecastOrder)
def forecast(order: ForecastOrder) -> Forecasts:
    """Carry out `bazaar forecast`.

    Raises :class:`UserError` before any work for files that cannot be written, statsforecast that is not installed, a
    sales file that cannot be read, and series too short for the backtest; nothing is written then.

    Example::

        from policies import forecast, record

        record("duopoly", output="units.csv", rules="nash+base_stock(level=ample)", markets=1)
        print(forecast("units.csv", horizon=2, folds=2).to_frame())
    """
    refuse_outputs(order, "json", "csv", "plot")
    if order.plot is not None and order.plot.suffix.lower() not in PICTURES:
        raise UserError(f"--plot {order.plot}: must end with {' or '.join(PICTURES)}")
    plan = BacktestPlan(order.horizon, order.folds, order.level)
    require_statsforecast()
    result = forecasts(order, plan)
    for table in tables(result):
        table.print(order.console)
    write_json(order.json, as_data(result))
    if order.csv:
        write_csv(order.csv, csv_rows(result), "\n")
    if order.plot:
        write_file(order.plot, _picture(result, order.plot.suffix.lower()))
    return result


def forecasts(order: ForecastOrder, plan: BacktestPlan) -> Forecasts:
    """Read the file, and backtest and forecast every series of it, telling the console how far it is."""
    sales, _ = read_ordered(order)
    series, warnings = series_of(sales, order.by_market)
    if not series:
        raise UserError(f"{order.sales}: no seller has a row in the file's last period, {sales.labels[-1]}")
    plan, season = planned(sales.step, max(len(one.units) for one in series), plan, order.season)
    series, short = long_enough(series, plan)
    warnings += short
    found, fits = [], sum(len(plan.candidates(one.units)) for one in series)
    with progress(order.console, f"forecasting {order.sales.name}", fits, "models") as tick:
        for one in series:
            ahead, failed = backtest(one, plan, tick)
            found.append(ahead)
            warnings += failed
    return Forecasts(sales, plan, season, tuple(found), tuple(periods_ahead(sales, plan.horizon)), tuple(warnings))


def _picture(result: Forecasts, ending: str) -> str | bytes:
    if ending == ".html":
        from policies.sales.forecast_page import page

        return page(result).text()
    from policies.sales.forecast_charts import png

    return png(result)
