"""The calibration as one HTML page: what was fitted, whether it holds, and everything that it rests on. N sellers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from market.calibration.calibrate import Calibration
from market.calibration.market_size import rule
from market.calibration.options import CalibrationOptions
from market.calibration.regression.logit import Coefficient
from market.calibration.robustness import own_interval
from market.calibration.uncertainty import Drawn
from market.calibration.validation import BLOCK, FOLDS, Validation
from policies.sales.calibration_charts import (
    absent,
    curves_chart,
    interval,
    lifts,
    scatter_chart,
    season_chart,
    skewed,
    unit,
    weeks_chart,
)
from policies.sales.calibration_table import (
    FLAGS,
    by_rule,
    check_table,
    coefficient_table,
    elasticity_table,
    hangs_table,
    level_title,
    seller_table,
    verdict,
    written_table,
)
from policies.views.format import DASH, counted, number
from policies.views.page import Page
from policies.views.table import Cells, Column, Row, Table

MOST_CARDS = 12
MOST_LETTERS = 90  # of all sellers' names beside one another


def page(
    found: Calibration,
    checked: Validation | None,
    output: str,
    reading: Mapping[str, Any] | None = None,
    drawn: Drawn | None = None,
) -> Page:
    """The page: what was found, and whether the market sells what was sold.

    Args:
        checked: the held-out weeks, None where they were not asked for.
        output: the configuration's name, which stands in the title.
        reading: how the file was read, as on the command line: columns, where, periods.
        drawn: what the estimate leaves open, where it was drawn.
    """
    sales, options, where = found.sales, found.options, (reading or {}).get("where") or {}
    return Page(
        "calibration.html",
        found=found,
        output=output,
        unit=unit(found),
        kept="; ".join(f"{column} {value}" for column, value in where.items()),
        costs_known=sales.has("cost") or options.cost_share is not None,
        carded=found.sellers if len(found.sellers) <= MOST_CARDS else (),
        own_interval=partial(own_interval, found.variants),
        size_rule=rule(sales, options.size_factor, options.size).replace(" x ", " × "),
        missing=absent(sales),
        unsold=int((sales.rows["units"] == 0).sum()),
        asked=typed_options(options),
        read_with=typed_reading(reading or {}),
        **_held_out(found, checked),
        **_demand(found),
        sellers=seller_table(found),
        written=None if drawn is None else written_table(found, drawn),
        promotions=_promotions(found),
        hangs=hangs_table(found),
        by_rule=by_rule(found),
    )


def _held_out(found: Calibration, checked: Validation | None) -> dict[str, Any]:
    """What the page shows of the checks."""
    if checked is None:
        return {"checked": None}
    unseen = f"{counted(checked.rows, 'row')} held out, predicted by fits without them"
    return {
        "checked": checked,
        "failed": [check.name for check in checked.checks if not check.passed],
        "verdict": verdict(checked),
        "checks": check_table(checked.checks, unseen),
        "last_checks": check_table(checked.last, f"{counted(checked.last_rows, 'row')} of the last fifth"),
        "level_checks": check_table(checked.level, level_title(found)) if checked.level else None,
        "block": BLOCK,
        "folds": FOLDS,
        "weeks_figure": weeks_chart(found, checked),
        "scatter_figure": scatter_chart(found, checked),
        "skewed": skewed(checked),
    }


# ------------------------------------------------------------------------------------------------ demand


def _demand(found: Calibration) -> dict[str, Any]:
    """What the page shows of the demand model."""
    one = found.fit.fitted
    return {
        "coefficients": coefficient_table(found),
        "season_figure": season_chart(found),
        "season_values": [value.value for value in one.season.values()],
        "trends": _trends(found) if one.trends else None,
        "models": _models(found),
        "fits": _fits(found),
        "elasticities": elasticity_table(found, numbered=sum(map(len, found.sellers)) > MOST_LETTERS),
        "curves_figure": curves_chart(found),
    }


def _trends(found: Calibration) -> Table:
    rows: list[list[Cells]] = []
    for name, one in found.fit.fitted.trends.items():
        low, high = (number(value, "{:+.3f}") for value in interval(one))
        rows.append([name, one.value, one.error, f"{low} to {high}"])
    columns = [Column("seller"), Column("utility over the file", "{:+.3f}"), Column("standard error", "{:.3f}")]
    return Table("Trends, from the first period to the last", [*columns, Column("95 % interval")], rows)


def _models(found: Calibration) -> Table:
    """All models that were tried, the chosen one marked; a column for rho where any has a nest."""
    tried = list({id(fit): fit for fit in found.tried}.values())
    nested = any(fit.rho is not None for fit in tried)
    columns = [Column("price"), Column("with", align="left"), Column("alpha (standard error)")]
    columns += [Column("rho (standard error)")] * nested + [Column("R² within", "{:.3f}"), Column("", align="left")]
    rows = []
    for fit in tried:
        chosen = fit is found.tried[-1]
        parts = ["nest"] * (fit.rho is not None) + ["reference price"] * (fit.weight is not None)
        cells: list[Cells] = [fit.form, ", ".join(parts) or DASH, _estimate(fit.alpha), *[_estimate(fit.rho)] * nested]
        rows.append(Row([*cells, fit.r2, "chosen" if chosen else ""], "judged" if chosen else ""))
    return Table("", columns, rows)


def _estimate(one: Coefficient | None) -> str:
    return DASH if one is None else f"{number(one.value, '{:.3f}')} ({number(one.error, '{:.3f}')})"


def _fits(found: Calibration) -> tuple[float, float] | None:
    """R² of the chosen form of price and of the other, without a nest; None where only one was tried."""
    one, plain = found.fit.fitted, [fit for fit in reversed(found.tried) if fit.rho is None]
    fits = {fit.form: fit.r2 for fit in plain if fit.weight is one.weight} or {fit.form: fit.r2 for fit in plain}
    other = next((r2 for form, r2 in fits.items() if form != one.form), None)
    return None if other is None or one.form not in fits else (fits[one.form], other)


def _promotions(found: Calibration) -> Table | None:
    promotions = found.fit.promotions
    if promotions is None:
        return None
    columns = [Column("seller"), Column(f"{unit(found)}s promoted", "{:.1%}")]
    columns += [Column("own units then", "{:+.0%}"), Column("rivals' units then", "{:+.1%}")]
    rows: list[list[Cells]] = [
        [name, promotions.frequency[name], lift.own, lift.rivals] for name, lift in lifts(found).items()
    ]
    return Table("", columns, rows)


# ------------------------------------------------------------------------------------------------ as typed


def typed_options(options: CalibrationOptions) -> str:
    """The options that differ from what is usual, as typed."""
    usual = CalibrationOptions()
    given = {flag: value for name, flag in FLAGS.items() if (value := getattr(options, name)) != getattr(usual, name)}
    typed = " ".join(_typed(flag.replace("_", "-"), value) for flag, value in given.items())
    return typed or "none: everything as it is by default"


def _typed(flag: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"--{flag}" if value else f"--no-{flag}"
    words = ",".join(value) if isinstance(value, tuple) else f"{value:g}" if isinstance(value, int | float) else value
    return f"--{flag} {words}"


def typed_reading(reading: Mapping[str, Any]) -> str:
    """How the file was read, as typed: names of columns, rows and periods kept."""
    columns, where = reading.get("columns") or {}, reading.get("where") or {}
    parts = [f"--columns {','.join(f'{ours}={theirs}' for ours, theirs in columns.items())}"] if columns else []
    parts += [f"--where {column}={value}" for column, value in where.items()]
    if reading.get("periods"):
        parts.append("--periods " + ":".join(bound or "" for bound in reading["periods"]))
    parts += reading.get("decided") or []
    return " ".join(parts)
