"""`bazaar calibrate`: a sales file in, a market's configuration and a report out; nothing is written when it fails."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from market.calibration.calibrate import Calibration
from market.calibration.calibrate import calibrate as fit_market
from market.calibration.market_file import configuration
from market.calibration.options import CalibrationOptions
from market.calibration.summary import summary
from market.calibration.validation import Validation, validate
from market.errors import UserError
from market.salesfile.table import read_sales
from policies.common.console import silent
from policies.common.files import jsonable, refuse_unwritable, write_file, write_json
from policies.common.progress import phases
from policies.common.results import Records
from policies.config.command import ordered_by
from policies.config.orders import CalibrateOrder
from policies.config.run import parse_run
from policies.sales.calibration_table import FLAGS, tables
from policies.sales.reading import columns_option, periods_option, where_option


@dataclass(frozen=True)
class CalibrationResult(Records):
    """A market fitted to a sales file: ``output`` is its configuration, ``validation`` None where it was not checked."""

    output: Path
    calibration: Calibration
    validation: Validation | None

    def records(self) -> list[dict[str, Any]]:
        """A row a coefficient of the demand: its estimate and standard error."""
        found = self.summary()["demand"]["coefficients"]
        return [{"coefficient": name} | figures for name, figures in found.items()]

    def summary(self) -> dict[str, Any]:
        """Everything found, as its JSON has it."""
        return jsonable(summary(self.calibration, self.validation))


@ordered_by(CalibrateOrder)
def calibrate(order: CalibrateOrder) -> CalibrationResult:
    """Carry out `bazaar calibrate`: fit, check that the configuration can be used, and only then write.

    Raises :class:`UserError` for files that would be written over, and for whatever reading, checking, estimating and
    validating refuse; nothing is written then.

    Example::

        from policies import calibrate, record

        record("duopoly", output="shop.csv", rules="random+base_stock(level=ample)")
        print(calibrate("shop.csv", output="shop.yaml", nest=False).to_frame())
    """
    _refuse_outputs(order)
    console = order.console or silent()
    columns = columns_option(order.columns) if order.columns else {}
    where, periods = where_option(order.where), periods_option(order.periods)
    with phases(console, f"calibrating {order.sales.name}") as say:
        say("reading")
        sales = read_sales(order.sales, columns, where, periods)
        found = fit_market(sales, _options(order), say)
        reading = {"columns": columns, "where": where, "periods": list(periods) if order.periods else None}
        text = configuration(found, reading)
        parse_run(yaml.safe_load(text), str(order.output))
        checked = validate(found, say) if order.validate else None
        say("writing")
        _write(order, text, reading, found, checked)
    for table in tables(found, checked):
        table.print(console)
    _say_written(order, checked, console)
    return CalibrationResult(order.output, found, checked)


def _options(order: CalibrateOrder) -> CalibrationOptions:
    asked = {name: getattr(order, flag) for name, flag in FLAGS.items()}
    return CalibrationOptions(**asked | {"size_factor": order.market_size_factor or CalibrationOptions.size_factor})


def _refuse_outputs(order: CalibrateOrder) -> None:
    asked = [path for path in (order.output, order.report, order.json) if path is not None]
    if order.output.suffix not in (".yaml", ".yml"):
        raise UserError(f"--output {order.output}: must end with .yaml")
    if order.report is not None and order.report.suffix not in (".html", ".htm"):
        raise UserError(f"--report {order.report}: must end with .html")
    if len({path.resolve() for path in asked}) < len(asked):
        raise UserError(f"{asked[-1]}: --output, --report and --json must be different files")
    for path in asked:
        if path.resolve() == order.sales.resolve():
            raise UserError(f"{path}: is the sales file itself; choose another name")
        refuse_unwritable(path, order.force)


def _write(
    order: CalibrateOrder, text: str, reading: dict[str, Any], found: Calibration, checked: Validation | None
) -> None:
    """Everything is made before anything is written."""
    data, text_of_page = summary(found, checked), None
    if order.report is not None:
        from policies.sales.calibration_page import page

        text_of_page = page(found, checked, order.output.name, reading).text()
    if order.json is not None:
        write_json(order.json, data, indent=1)
    if order.report is not None and text_of_page is not None:
        write_file(order.report, text_of_page)
    write_file(order.output, text)


def _say_written(order: CalibrateOrder, checked: Validation | None, console: Console) -> None:
    written = [str(path) for path in (order.output, order.report, order.json) if path is not None]
    console.print(f"Written: {', '.join(written)}", highlight=False, markup=False)
    if checked is None:
        hint = "Not checked on weeks that it has not seen: --validate does that."
        console.print(hint, highlight=False, markup=False, style="dim")
    console.print(f"Next: bazaar train {order.output}", highlight=False, markup=False, style="dim")
