"""The calibrated market as a commented configuration that `bazaar train` takes as it is.

``market_file.yaml.j2`` is its text; what stands there as a number is worked out here.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from market.calibration.calibrate import Calibration
from market.calibration.market_size import rule
from market.calibration.moment import MarketAt, latest, market_at
from market.calibration.uncertainty import Drawn, draw_markets
from market.demand.equilibrium import SMALL, prices_in_range
from market.demand.logit import Logit, profits
from market.errors import UserError
from market.salesfile.files import PROMOTION
from market.spec.models import MarketSpec, Origin

BUDGET = 3_000_000  # seller-periods a seller
WIDE = 118


def configuration(found: Calibration, read: Mapping[str, Any] | None = None, drawn: Drawn | None = None) -> str:
    """The text of the YAML file; every estimate with its standard error, every assumption called one.

    ``read``: how the file was read (columns, where, periods), for the line that replays it. ``drawn``: what the estimate
    leaves open; None: drawn here.
    """
    sales, fit, options, at = found.sales, found.fit, found.options, market_at(found)
    sizes = at.size
    write = partial(
        _environment().get_template("market_file.yaml.j2").render, sales=sales, fitted=fit.fitted, shocks=fit.shocks, promotions=fit.promotions, options=options,
        warnings=found.warnings, cost_source=found.cost_source, season=season_cycle(found),
        sizes=sizes, several=len(sizes) > 1, mean_size=float(np.mean(list(sizes.values()))),
        size_rule=rule(sales, options.size_factor, options.size), qualities=at.quality,
        horizon=len(sales.labels) if options.replay else int(np.clip(len(sales.labels), 52, 104)),
        made_to_order=options.inventory == "make_to_order", window=options.lead_time + 1,
        sellers=[_seller(found, at, name) for name in found.sellers], latest=latest(len(sales.labels)),
        drawn=draw_markets(found) if drawn is None else drawn, tape=_tape(found, read or {}), origin=_flow(origin_of(found).model_dump(mode="json", exclude_defaults=True)),
        budget=BUDGET * len(found.sellers),
    )  # fmt: skip
    text = str(write(scales={}))
    scales = _reward_scales(MarketSpec.parse(yaml.safe_load(text)["market"]), found, at)
    return str(write(scales=scales)) if scales else text


def _reward_scales(spec: MarketSpec, found: Calibration, at: MarketAt) -> dict[str, float]:
    """What rewards are divided by, money a period, of the sellers whose Nash profit is none or too small for that."""
    try:
        profit = profits(Logit.of(spec), prices_in_range(spec))
    except UserError:
        return {name: at.price[name] * max(at.units[name], 1.0) for name in found.sellers}
    least = SMALL * float(profit.mean())
    return {
        name: least if least > 0 else at.price[name] * max(at.units[name], 1.0)
        for name, own in zip(found.sellers, profit, strict=True)
        if not own >= least or own <= 0
    }


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {
        "plain": plain,
        "se": lambda one: f"se {one.error:.3g}",
        "scalar": lambda text: yaml.safe_dump(text).splitlines()[0],
        "comment": lambda text: textwrap.fill(text, WIDE, initial_indent="# ", subsequent_indent="#   ", break_long_words=False),
    }  # fmt: skip
    return made


def plain(value: float, digits: int = 5) -> str:
    """A number with so many significant digits. 0.123456: 0.12346; 5105.49: 5105.5; 1e-7: 0.0000001."""
    if value == 0 or not math.isfinite(value):
        return "0.0"
    decimals = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    text = f"{value:.{min(decimals, 12)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def season_cycle(found: Calibration) -> list[float]:
    """Utility in every period of the cycle, from the file's first period on; empty without seasons.

    A file's own column ``season`` is a cycle when it comes back after a number of periods that fits in twice.
    """
    effects = {name: one.value for name, one in found.fit.fitted.season.items()}
    if not effects:
        return []
    season = found.fit.design.season
    if not found.sales.has("season"):
        return [effects.get(str(t // season.width), 0.0) for t in range(season.length)]
    rows = found.sales.rows.groupby("period")["season"].agg(["first", "nunique"])
    if (rows["nunique"] > 1).any() or len(rows) < len(found.sales.labels):
        return []
    names = rows["first"].tolist()
    for length in range(2, len(names) // 2 + 1):
        if names[length:] == names[:-length]:
            return [effects[name] for name in names[:length]]
    return []


def _tape(found: Calibration, read: Mapping[str, Any]) -> str:
    """What replays the history, with the promotion that is the market's event."""
    event = found.fit.promotions.column if found.fit.promotions else None
    columns = read.get("columns", {}).items()
    kept = {ours: theirs for ours, theirs in columns if ours == event or not ours.startswith(PROMOTION)}
    tape: dict[str, Any] = {"file": str(found.sales.path.resolve()), "sha256": found.sales.sha256}
    tape |= {key: value for key, value in {**read, "columns": kept}.items() if value}
    return _flow(tape)


def origin_of(found: Calibration) -> Origin:
    """What the market says of the file that it was estimated from."""
    sales = found.sales
    ends = {"first": sales.labels[0], "last": sales.labels[-1]}
    return Origin(file=sales.path.name, sha256=sales.sha256, instruments=found.options.instruments, **ends)


def _flow(data: Mapping[str, Any]) -> str:
    """As a line of YAML."""
    return yaml.safe_dump(dict(data), default_flow_style=True, width=10_000).strip()


def _seller(found: Calibration, at: MarketAt, name: str) -> dict[str, Any]:
    """A seller's own numbers: its mean quality over the markets that offer it, and what its prices and stock may be."""
    rows = found.sales.rows[found.sales.rows["seller"] == name]
    price, units, window = rows["price"], rows["units"], found.options.lead_time + 1
    cost, low, high = at.cost[name], float(price.min()), float(price.max())
    return {
        "name": name,
        "quality": at.mean_quality(found.sellers.index(name)),
        "cost": cost,
        "low": _rounded(min(low, cost or math.inf), math.floor),
        "high": _rounded(max(high, 3 * cost), math.ceil),
        "on_file": [low, high],
        "price": at.price[name],
        "holding_cost": found.options.holding * (cost or at.price[name]),
        "stock": max(round(at.units[name] * window), 1),
        "top": max(_rounded(float(units.quantile(0.995)) * window * 1.25, math.ceil), 4.0),
    }


def _rounded(value: float, direction: Any) -> float:
    """To two significant digits, up or down. 2.345 up: 2.4; 1817 up: 1900."""
    if value <= 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(round(direction(round(value / unit, 9)) * unit, 12))
