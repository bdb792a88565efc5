"""`bazaar calibrate`: a sales file in, a market's configuration and a report out; nothing is written when it fails."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from market.calibration.calibrate import Calibration
from market.calibration.calibrate import calibrate as fit_market
from market.calibration.market_file import configuration
from market.calibration.options import DOUBTS, CalibrationOptions
from market.calibration.summary import summary
from market.calibration.uncertainty import Drawn, draw_markets
from market.calibration.validation import Validation, validate
from market.errors import UserError
from market.spec.plain_yaml import plain_data
from policies.common.files import jsonable, write_file, write_json
from policies.common.progress import phases
from policies.common.results import Records
from policies.config.command import ordered_by
from policies.config.orders import CalibrateOrder
from policies.config.run import parse_run
from policies.sales.calibration_table import FLAGS, tables, written_table
from policies.sales.reading import decided_by_options, read_ordered, refuse_outputs


@dataclass(frozen=True)
class CalibrationResult(Records):
    """A market fitted to a sales file: ``output`` is its configuration, ``validation`` None where it was not checked.

    ``drawn``: what the estimate leaves open.
    """

    output: Path
    calibration: Calibration
    validation: Validation | None
    drawn: Drawn

    def records(self) -> list[dict[str, Any]]:
        """A row a coefficient of the demand: its estimate and standard error."""
        found = self.summary()["demand"]["coefficients"]
        return [{"coefficient": name} | figures for name, figures in found.items()]

    def summary(self) -> dict[str, Any]:
        """Everything found, as its JSON has it."""
        return jsonable(summary(self.calibration, self.validation, self.drawn))


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
    if order.replay and (decided := decided_by_options(order)):
        raise UserError(
            f"--replay: the configuration reads the file anew, and without {', '.join(decided)}; make a sales file first: "
            f"bazaar sales {order.sales} -o SALES.csv"
        )
    with phases(order.console, f"calibrating {order.sales.name}") as say:
        say("reading")
        sales, reading = read_ordered(order)
        found = fit_market(sales, _options(order), say)
        say("drawing what the estimate leaves open")
        drawn = draw_markets(found)
        text = configuration(found, reading, drawn)
        parse_run(plain_data(text), str(order.output))
        checked = validate(found, say) if order.validate else None
        say("writing")
        _write(order, text, reading, found, checked, drawn)
    for table in [written_table(found, drawn), *tables(found, checked)]:
        table.print(order.console)
    _say_written(order, checked)
    return CalibrationResult(order.output, found, checked, drawn)


def _options(order: CalibrateOrder) -> CalibrationOptions:
    asked = {name: getattr(order, flag) for name, flag in FLAGS.items()}
    asked["force"] = tuple(name for name in order.force if name in DOUBTS)
    return CalibrationOptions(**asked | {"size_factor": order.market_size_factor or CalibrationOptions.size_factor})


def _refuse_outputs(order: CalibrateOrder) -> None:
    if order.output.suffix not in (".yaml", ".yml"):
        raise UserError(f"--output {order.output}: must end with .yaml")
    if order.report is not None and order.report.suffix not in (".html", ".htm"):
        raise UserError(f"--report {order.report}: must end with .html")
    refuse_outputs(order, "output", "report", "json")


def _write(
    order: CalibrateOrder,
    text: str,
    reading: dict[str, Any],
    found: Calibration,
    checked: Validation | None,
    drawn: Drawn,
) -> None:
    """Everything is made before anything is written."""
    data, files = summary(found, checked, drawn), {}
    if order.report is not None:
        from policies.sales.calibration_page import page

        files[order.report] = page(found, checked, order.output.name, reading, drawn).text()
    write_json(order.json, data, indent=1)
    for path, content in (files | {order.output: text}).items():
        write_file(path, content)


def _say_written(order: CalibrateOrder, checked: Validation | None) -> None:
    console = order.console
    written = [str(path) for path in (order.output, order.report, order.json) if path is not None]
    console.print(f"Written: {', '.join(written)}", highlight=False, markup=False)
    if checked is None:
        hint = "Not checked on weeks that it has not seen: --validate does that."
        console.print(hint, highlight=False, markup=False, style="dim")
    console.print(f"Next: bazaar train {order.output}", highlight=False, markup=False, style="dim")
