"""`bazaar forecast`: units of every seller some periods ahead, from a sales file, with the backtest that chose the model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from market.errors import Refusal
from market.forecast.backtest import Outlook, Plan, long_enough, planned
from market.forecast.models import outlook, require_statsforecast
from market.forecast.series import SEASONS, periods_ahead, series_of
from market.salesfile.table import Sales, columns_option, read_sales
from policies.common.console import refuse_unwritable, terminal
from policies.common.progress import progress
from policies.common.sales_options import periods_option, where_option
from policies.sales.forecast_files import write_csv, write_json
from policies.sales.forecast_view import print_forecasts

PICTURES = (".png", ".html")


@dataclass(frozen=True)
class ForecastOrder:
    """What was asked for; ``columns``, ``where`` and ``periods`` as on the command line."""

    sales: Path
    horizon: int
    columns: str | None = None
    where: tuple[str, ...] = ()
    periods: str | None = None
    by_market: bool = False
    season: int | None = None
    folds: int = 5
    level: float = 0.9
    json: Path | None = None
    csv: Path | None = None
    plot: Path | None = None
    force: bool = False


@dataclass(frozen=True)
class Forecasts:
    """All outlooks of a file: ``ahead`` (H,) labels the periods forecast, ``season`` says which and why in words."""

    sales: Sales
    plan: Plan
    season: str
    outlooks: tuple[Outlook, ...]
    ahead: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def step(self) -> str:
        """What a period is called."""
        return self.sales.step if self.sales.step in SEASONS else "period"

    @property
    def unit(self) -> str:
        """The same for as many as the horizon has."""
        return self.step if self.plan.horizon == 1 else f"{self.step}s"


def forecast(order: ForecastOrder) -> None:
    """Carry out `bazaar forecast`.

    Raises :class:`Refusal` before any work for files that cannot be written, statsforecast that is not installed, a
    sales file that cannot be read, and series too short for the backtest; nothing is written then.
    """
    _refuse_outputs(order)
    plan = Plan(order.horizon, order.folds, order.level)
    require_statsforecast()
    console = terminal(undisturbed=bool(order.json or order.csv or order.plot))
    result = forecasts(order, plan, console)
    print_forecasts(result, console)
    if order.json:
        write_json(result, order.json)
    if order.csv:
        write_csv(result, order.csv)
    if order.plot:
        _picture(result, order.plot)


def forecasts(order: ForecastOrder, plan: Plan, console: Console) -> Forecasts:
    """Read the file, and backtest and forecast every series of it, telling the console how far it is."""
    columns = columns_option(order.columns) if order.columns else None
    sales = read_sales(order.sales, columns, where_option(order.where), periods_option(order.periods))
    series, warnings = series_of(sales, order.by_market)
    if not series:
        raise Refusal(f"{order.sales}: no seller has a row in the file's last period, {sales.labels[-1]}")
    plan, season = planned(sales.step, max(len(one.units) for one in series), plan, order.season)
    series, short = long_enough(series, plan)
    warnings += short
    found = []
    with progress(console, f"forecasting {order.sales.name}", len(series) * len(plan.models), "models") as tick:
        for one in series:
            ahead, failed = outlook(one, plan, tick)
            found.append(ahead)
            warnings += failed
    return Forecasts(sales, plan, season, tuple(found), tuple(periods_ahead(sales, plan.horizon)), tuple(warnings))


def _refuse_outputs(order: ForecastOrder) -> None:
    asked = [path for path in (order.json, order.csv, order.plot) if path is not None]
    for path in asked:
        refuse_unwritable(path, order.force)
        if path.resolve() == order.sales.resolve():
            raise Refusal(f"{path}: is the sales file itself; choose another name")
    if len({path.resolve() for path in asked}) < len(asked):
        raise Refusal(f"{asked[-1]}: --json, --csv and --plot must be different files")
    if order.plot is not None and order.plot.suffix.lower() not in PICTURES:
        raise Refusal(f"--plot {order.plot}: must end with {' or '.join(PICTURES)}")


def _picture(result: Forecasts, path: Path) -> None:
    if path.suffix.lower() == ".html":
        from policies.sales.forecast_page import write_page

        write_page(result, path)
    else:
        from policies.sales.forecast_charts import write_png

        write_png(result, path)
