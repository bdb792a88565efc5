"""The calibrated market as a commented configuration that `bazaar train` takes as it is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import yaml

from market.calibration.calibrate import Calibration
from market.calibration.logit import Coefficient
from market.calibration.market_size import rule
from market.salesfile.columns import PROMOTION

NEVER = -100.0  # the utility of a seller where a market does not offer it
BUDGET = 3_000_000  # seller-periods a seller
WIDE = 78


def configuration(found: Calibration, read: Mapping[str, Any] | None = None) -> str:
    """The text of the YAML file; every estimate with its standard error, every assumption called one.

    ``read``: how the file was read (columns, where, periods), for the line that replays it.
    """
    return "\n".join([*_head(found), *_market(found), *_tape(found, read or {}), *_sellers(found), *_run(found)]) + "\n"


def plain(value: float, digits: int = 5) -> str:
    """A number with so many significant digits. 0.123456: 0.12346; 5105.49: 5105.5; 1e-7: 0.0000001."""
    if value == 0 or not math.isfinite(value):
        return "0.0"
    decimals = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    text = f"{value:.{min(decimals, 12)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def market_qualities(found: Calibration) -> dict[str, list[float]]:
    """Qualities by market, in seat order, of an average period without the promotion that is an event."""
    fitted, fit = found.fit.fitted, found.fit
    steady = fit.promotions.steady if fit.promotions else _without_event(found)
    qualities: dict[str, list[float]] = {}
    for market in found.sales.markets:
        values = []
        for seller in found.sellers:
            base = float(fitted.quality.get((market, seller), math.nan))
            values.append(base + fit.moves[seller] + steady.get(seller, 0.0) if math.isfinite(base) else NEVER)
        qualities[market] = values
    return qualities


def _without_event(found: Calibration) -> dict[str, float]:
    """Mean utility by seller of promotions that are no event."""
    table, fitted = found.fit.design.table, found.fit.fitted
    total = sum((one.value * table[name] for name, one in fitted.promotions.items()), start=table["f"] * 0.0)
    return {str(name): float(value) for name, value in total.groupby(table["seller"]).mean().items()}


def market_means(found: Calibration) -> dict[str, float]:
    """Mean market size in units, by market."""
    means = found.size.groupby(found.sales.rows["market"]).mean()
    return {market: float(means[market]) for market in found.sales.markets}


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


def _head(found: Calibration) -> Iterator[str]:
    sales, fitted = found.sales, found.fit.fitted
    markets = f"{len(sales.markets)} markets" if len(sales.markets) > 1 else "one market"
    how = "least squares" if fitted.instruments in ((), ("f",)) else "two-stage least squares"
    yield f"# Calibrated by `bazaar calibrate` from {sales.path.name}"
    yield f"# (sha256 {sales.sha256}):"
    yield f"# {len(sales.rows):,} rows, {len(found.sellers)} sellers, {markets}, {len(sales.labels)} periods from {sales.labels[0]} to {sales.labels[-1]}."
    yield "#"
    yield f"# Demand: {'nested ' if fitted.rho else ''}logit in the {'logarithm of the ' if fitted.form == 'log' else ''}price, {how} on Berry's inversion"
    yield "# (pyblp), with seller x market effects; standard errors (se) are clustered by period."
    if fitted.trends:
        yield "# Trends by seller are estimated and not part of the market, which is that of the file's middle."
    yield "# What the file does not tell is marked ASSUMPTION: change it to what you know."
    for warning in found.warnings:
        yield from _wrapped(f"WARNING: {warning}")


def _wrapped(text: str) -> Iterator[str]:
    import textwrap

    yield from textwrap.wrap(text, WIDE + 40, initial_indent="# ", subsequent_indent="#   ", break_long_words=False)


def _se(one: Coefficient) -> str:
    return f"se {one.error:.3g}"


def _market(found: Calibration) -> Iterator[str]:
    fitted, shocks, sales = found.fit.fitted, found.fit.shocks, found.sales
    sizes = market_means(found)
    yield "market:"
    yield f"  name: {yaml.safe_dump(sales.path.stem).splitlines()[0]}"
    yield f"  period: {yaml.safe_dump(sales.step).splitlines()[0]}"
    yield f"  horizon: {len(sales.labels) if found.options.replay else int(np.clip(len(sales.labels), 52, 104))}"
    if found.options.inventory == "make_to_order":
        yield "  inventory: make_to_order      # what is bought is made or bought in: no stock"
    yield f"  price_form: {fitted.form}"
    yield f"  price_sensitivity: {plain(fitted.alpha.value)}   # {_se(fitted.alpha)}"
    if fitted.rho:
        yield f"  nest: {plain(fitted.rho.value)}   # {_se(fitted.rho)}"
    yield "  outside: 0.0"
    yield "  customers:"
    several = "mean over markets of " if len(sizes) > 1 else ""
    yield f"    rate: {plain(float(np.mean(list(sizes.values()))))}   # market size: {several}{rule(sales, found.options.size_factor, found.options.size)}"
    if shocks.dispersion:
        yield f"    dispersion: {plain(shocks.dispersion)}   # the common part of the residuals, as overdispersion of counts"
    yield from _dynamics(found)
    yield from _locations(found, sizes)


def _dynamics(found: Calibration) -> Iterator[str]:
    fitted, shocks, promotions = found.fit.fitted, found.fit.shocks, found.fit.promotions
    cycle = season_cycle(found)
    if cycle:
        yield "  season:   # utility by period of the cycle, from the file's first period on"
        yield f"    {_flow([plain(v, 3) for v in cycle])}"
    if fitted.weight is not None:
        yield f"  reference_price: {{weight: {plain(fitted.weight.value)}, memory: {fitted.memory}}}   # {_se(fitted.weight)}"
    yield "  demand_shock:   # residuals less counting noise"
    yield f"    persistence: {plain(shocks.persistence, 3)}"
    yield f"    common: {plain(shocks.common, 4)}"
    if promotions is not None:
        yield f"  events:   # {promotions.column}; {_se(fitted.promotions[promotions.column])}"
        yield f"    effect: {plain(promotions.effect, 4)}"
        yield f"    mean_length: {plain(promotions.mean_length, 4)}"
        yield "    announced: 1   # ASSUMPTION: known one period ahead"


def _flow(values: list[str]) -> str:
    """A list in brackets, in lines that fit."""
    import textwrap

    return "\n     ".join(textwrap.wrap(f"[{', '.join(values)}]", 110))


def _locations(found: Calibration, sizes: dict[str, float]) -> Iterator[str]:
    if len(sizes) < 2:
        return
    mean = float(np.mean(list(sizes.values())))
    yield "  locations:   # the file's markets: an episode is one of them; size is times customers.rate"
    for market, values in market_qualities(found).items():
        quality = ", ".join(plain(value) for value in values)
        yield f'    - {{name: "{market}", size: {plain(sizes[market] / mean)}, quality: [{quality}]}}'


def _tape(found: Calibration, read: Mapping[str, Any]) -> Iterator[str]:
    """The history as a comment: two characters away from replaying it, with the promotion that is the market's event."""
    event = found.fit.promotions.column if found.fit.promotions else None
    kept = {ours: theirs for ours, theirs in read.get("columns", {}).items() if not _other_promotion(ours, event)}
    tape: dict[str, Any] = {"file": str(found.sales.path.resolve()), "sha256": found.sales.sha256}
    tape |= {key: value for key, value in {**read, "columns": kept}.items() if value}
    text = yaml.safe_dump(tape, default_flow_style=True, width=10_000).strip()
    if found.options.replay:
        yield "  # The file's own periods: its market sizes, promotions and shocks instead of new ones."
        yield f"  tape: {text}"
        return
    yield f"  # Replay the file's own periods instead of drawing new ones (market.horizon at most {len(found.sales.labels)}):"
    yield f"  # tape: {text}"


def _other_promotion(column: str, event: str | None) -> bool:
    return column.startswith(PROMOTION) and column != event


def _sellers(found: Calibration) -> Iterator[str]:
    sizes, qualities = market_means(found), market_qualities(found)
    yield "  sellers:"
    for k, name in enumerate(found.sellers):
        offered = [(values[k], sizes[market]) for market, values in qualities.items() if values[k] > NEVER]
        quality = float(np.average([v for v, _ in offered], weights=[w for _, w in offered]))
        yield f'    - name: "{name}"'
        yield f"      quality: {plain(quality)}"
        yield f"      unit_cost: {plain(found.cost[name])}   # {found.cost_source}"
        yield f"      xi: {plain(found.fit.shocks.own[name], 4)}"
        if found.fit.promotions is not None and found.fit.promotions.frequency[name] > 0:
            yield f"      event_frequency: {plain(found.fit.promotions.frequency[name], 4)}"
        yield from _stock(found, name)


def _stock(found: Calibration, name: str) -> Iterator[str]:
    rows = found.sales.rows[found.sales.rows["seller"] == name]
    cost, options = found.cost[name], found.options
    low = _rounded(min(float(rows["price"].min()), cost or math.inf), math.floor)
    high = _rounded(max(float(rows["price"].max()), 3 * cost), math.ceil)
    yield f"      prices: [{plain(low)}, {plain(high)}]   # holds all prices of the file, and 3 times unit cost"
    yield f"      start_price: {plain(float(rows['price'].mean()))}   # mean"
    if options.inventory == "make_to_order":
        yield "      grid: {prices: 15}"
        return
    window = options.lead_time + 1
    top = _rounded(float(rows["units"].quantile(0.995)) * window * 1.25, math.ceil)
    held = options.holding * (cost or float(rows["price"].mean()))
    yield f"      holding_cost: {plain(held, 4)}   # ASSUMPTION: {options.holding:.0%} of unit cost a period"
    yield f"      lead_time: {options.lead_time}   # ASSUMPTION, in periods"
    yield f"      stock: {max(round(float(rows['units'].mean()) * window), 1)}   # ASSUMPTION: mean sales of {window} periods"
    yield f"      order_up_to: [0, {plain(max(top, 4.0))}]   # to {window} very good periods"
    yield "      grid: {prices: 13, levels: 13}"


def _rounded(value: float, direction: Any) -> float:
    """To two significant digits, up or down. 2.345 up: 2.4; 1817 up: 1900."""
    if value <= 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(round(direction(round(value / unit, 9)) * unit, 12))


def _run(found: Calibration) -> Iterator[str]:
    yield ""
    yield "seats:   # who learns: dqn, a2c or ddpg, or rules such as nash+base_stock"
    for name in found.sellers:
        yield f'  "{name}": ddpg'
    yield ""
    yield "training:"
    yield f"  budget: {BUDGET * len(found.sellers)}   # seller-periods"
    yield "  markets: 256"
