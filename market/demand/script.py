"""Where and when an episode is played, as far as it is settled beforehand: seasons, locations, a sales file.

The kernel reads it as a :class:`market.state.Script`; theory averages over the *strata*, the pairs of a location and
a season. C strata, P places, S periods, N sellers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from market.demand.history import replay
from market.spec.models import MarketSpec
from market.state import Floats, Ints, Script


def calendar(spec: MarketSpec, periods: ArrayLike) -> Floats:
    """Return weekly x yearly x trend x surges at ``periods`` (any shape): the factor on ``customers.rate``.

    Weekly factors repeat from period 0, the yearly one is ``1 + amplitude cos(2 pi (t - peak) / length)``, the trend
    compounds, ``(1 + trend)^t``, and a surge counts in periods ``start`` to ``start + length - 1``. With a trend of
    0.1 and nothing else, period 2 has 1.21; with a surge ``{start: 2, length: 3, factor: 2}`` beside it, 2.42.
    """
    t = np.asarray(periods, dtype=np.int64)
    customers = spec.customers
    factor: Floats = (1.0 + customers.trend) ** t.astype(float)
    if customers.weekly:
        factor = factor * np.asarray(customers.weekly)[t % len(customers.weekly)]
    if customers.yearly:
        yearly = customers.yearly
        factor = factor * (1.0 + yearly.amplitude * np.cos(2.0 * np.pi * (t - yearly.peak) / yearly.length))
    for surge in customers.surges:
        factor = factor * np.where((t >= surge.start) & (t < surge.start + surge.length), surge.factor, 1.0)
    return factor


def known_calendar(spec: MarketSpec, periods: ArrayLike) -> Floats:
    """Return weekly x yearly x trend at ``periods`` (any shape), which sellers know; of surges they are not told.

    1 throughout where a history is replayed: it has no calendar but its own customers. What a season adds to utility
    is no part of it.
    """
    if spec.tape is not None:
        return np.ones(np.shape(periods))
    if spec.customers.surges:
        spec = spec.model_copy(update={"customers": spec.customers.model_copy(update={"surges": ()})})
    return calendar(spec, periods)


def location_offsets(spec: MarketSpec) -> Floats:
    """Quality of each location less the sellers' own (P, N); zeros (1, N) without locations."""
    own = np.array([seller.quality for seller in spec.sellers])
    if not spec.locations:
        return np.zeros((1, len(own)))
    return np.asarray([location.quality for location in spec.locations] - own)


def season_offsets(spec: MarketSpec) -> Floats:
    """The season's utility by phase (S,); one zero without a season."""
    return np.array(spec.season or (0.0,), np.float64)


def settled(spec: MarketSpec) -> tuple[Floats, Floats]:
    """Factor on customers (P, S) and utility (P, S, N) of seasons, locations and draws; S = 0 where there are none."""
    count = len(spec.sellers)
    if not (spec.season or spec.locations or spec.played):
        return np.ones((1, 0)), np.zeros((1, 0, count))
    season, place = season_offsets(spec), location_offsets(spec)
    if spec.played:
        drawn = np.array([draw.quality for draw in spec.played])
        place = (drawn[:, None] + place).reshape(-1, count)
    utility = place[:, None, :] + season[:, None]
    return np.repeat(over_draws(spec, np.array(spec.sizes))[:, None], len(season), axis=1), utility


def tastes(spec: MarketSpec, locations: int) -> Floats:
    """Price sensitivity, rho and factor on shocks of every place (P, 3), draw after draw of so many locations."""
    if spec.played:
        each = [(draw.price_sensitivity, draw.nest, draw.shock) for draw in spec.played]
        return np.repeat(np.array(each), locations, axis=0)
    market = (spec.price_sensitivity, spec.nest)
    if spec.tape is not None or not spec.locations:
        return np.tile((*market, 1.0), (locations, 1))
    own = ((place.price_sensitivity, place.nest) for place in spec.locations)
    return np.array([(*(b if a is None else a for a, b in zip(one, market, strict=True)), 1.0) for one in own])


def over_draws(spec: MarketSpec, by_location: Floats) -> Floats:
    """What is so at each location (L, ...), at each place (P, ...): once for every draw that is played, P = L without."""
    return np.concatenate([by_location] * max(len(spec.played), 1))


def build_script(spec: MarketSpec, calendar: Floats) -> Script:
    """What the kernel needs; ``calendar`` (T,) are mean customers by period at size 1.

    Raises :class:`UserError` as :func:`market.demand.history.replay` does.
    """
    if spec.tape is None:
        factor, utility = settled(spec)
        event = np.zeros((len(factor), 0, len(spec.sellers)), np.int8)
        return Script(calendar, factor, utility, event, tastes(spec, len(spec.sizes)), np.zeros((len(factor), 0)))
    found = [replay(one) for one in _histories(spec)]
    customers, utility, event = (
        np.concatenate([getattr(one, name) for one in found]) for name in ("customers", "utility", "event")
    )
    taste = tastes(spec, len(found[0].customers))
    return Script(np.ones(len(calendar)), customers, utility, event, taste, np.zeros((len(customers), 0)))


def _histories(spec: MarketSpec) -> list[MarketSpec]:
    """Under every draw another history of shocks gives the file's sales at its prices: the markets to recover them in."""
    return [
        spec.certain.model_copy(update={"price_sensitivity": draw.price_sensitivity, "nest": draw.nest, "draws": ()})
        for draw in spec.played
    ] or [spec]


def recorded_prices(spec: MarketSpec) -> Floats | None:
    """The history's prices (P, T, N), money per unit, or None without one."""
    if spec.tape is None:
        return None
    return over_draws(spec, replay(spec).price)


def strata(spec: MarketSpec, calendar: Floats) -> tuple[Floats, Floats]:
    """Different offsets to utility (C, N) and the share of all customers that meets each (C,), summing to one.

    ``calendar`` (T,): mean customers by period of an episode at size 1. A location weighs by its size, a phase of the
    season by the customers of its periods. Sizes 1 and 3, no season: weights 1/4 and 3/4.
    """
    season, place = season_offsets(spec), location_offsets(spec)
    phase = np.bincount(np.arange(len(calendar)) % len(season), calendar, len(season))
    weight = np.outer(np.array(spec.sizes), phase).reshape(-1)
    every = (place[:, None, :] + season[:, None]).reshape(-1, place.shape[1])
    offset, stratum = np.unique(every, axis=0, return_inverse=True)
    weight = np.bincount(stratum.reshape(-1), weight)
    return offset, weight / weight.sum() if weight.sum() > 0 else np.full(len(weight), 1.0 / len(weight))


def observed_sizes(spec: MarketSpec) -> Floats:
    """Each place's size as a seller sees it (P,): log of size to the geometric mean, the largest of them 1 or -1.

    Sizes 1, 1 and 8: geometric mean 2, logs -0.69, -0.69 and 1.39, so -0.5, -0.5 and 1.
    """
    logs = np.log(np.array(spec.sizes))
    logs = logs - logs.mean()
    return np.asarray(logs / max(float(np.abs(logs).max()), 1e-12))[location_of_place(spec)]


def location_of_place(spec: MarketSpec) -> Ints:
    """The location of each place (P,): its own, or that of the history's market."""
    own = np.arange(len(spec.sizes)) if spec.tape is None else replay(spec).location
    return np.concatenate([own] * max(len(spec.played), 1))


def place_customers(spec: MarketSpec) -> Floats:
    """Mean customers a period of each place (P,), at a calendar factor of 1: of a history, those of the episode."""
    if spec.tape is None:
        return over_draws(spec, spec.customers.rate * np.array(spec.sizes))
    return over_draws(spec, replay(spec).customers[:, : spec.horizon].mean(axis=1))


def largest_size(spec: MarketSpec) -> float:
    """The size of the largest place: of the locations, or of the history's markets by their mean number of customers."""
    if spec.tape is None:
        return max(spec.sizes)
    return float(replay(spec).customers.mean(axis=1).max()) / spec.customers.rate


def varies(spec: MarketSpec) -> str | None:
    """Why the best price depends on where or when an episode is played, naming the key; None where it does not."""
    if spec.tape is not None:
        return "market.tape replays a history, so that every period is another market"
    if len(spec.locations) > 1:
        return "market.locations makes episodes differ, so that the state has a place"
    if len(spec.played) > 1:
        return "market.uncertainty is on and makes episodes differ, so that the state has a draw"
    if len(set(spec.season)) > 1:
        return "market.season changes utilities with the calendar, so that the state has a date"
    return None
