"""The state of a batch, as the kernel works on it: record types and the tuples of arrays that make it up.

Dimensions: M markets side by side, N sellers in a market, L longest lead time, T periods in an episode,
A periods that events are announced ahead, F observation features, P scripts of S periods.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Observation = NDArray[np.float32]

NOT_OFFERED = -1e6  # a script's utility of a seller that is not there: below market.kernel.choice.ABSENT


def _record(names: str, whole: str = "") -> np.dtype[np.void]:
    """A record of numbers of 64 bits: whole numbers where so named, else floats."""
    return np.dtype([(name, "i8" if name in whole.split() else "f8") for name in names.split()], align=True)


MARKET = _record(
    "log_price outside basket substitution expected stocked direct_from dispersion shock_sd "
    "shock_persistence xi_persistence xi_common event_effect event_stop reference_weight reference_memory",
    whole="log_price expected stocked",
)
SELLER = _record(
    "quality unit_cost order_cost holding_cost stockout_cost price_change_cost lead_time stock first_price price_low "
    "price_high level_low level_high xi event_frequency event_start reward_scale",
    whole="lead_time",
)
LEDGER_UNITS = {
    "price": "money per unit",
    "ordered": "units",
    "received": "units",
    "on_hand": "units, for sale this period",
    "sold": "units",
    "lost": "units wanted and not in stock",
    "on_hand_left": "units, after the customers",
    "on_order": "units on their way, after this order",
    "market_size": "units that all customers of the period would buy",
    "revenue": "money",
    "purchase_cost": "money",
    "order_cost": "money",
    "holding_cost": "money",
    "stockout_cost": "money",
    "price_change_cost": "money",
    "profit": "money",
}

LEDGER = _record(" ".join(LEDGER_UNITS))


class Script(NamedTuple):
    """What is settled of the episodes before they are drawn: the calendar, and by place and period what adds to it.

    An episode plays one of P scripts, from its first period on and over again; arrays of S = 0 periods add nothing.
    """

    calendar: Floats  # (T,) mean number of customers
    factor: Floats  # (P, S) times the mean number of customers
    utility: Floats  # (P, S, N) added to utility; at or below market.kernel.choice.ABSENT the seller is not offered
    event: NDArray[np.int8]  # (P, S, N) promotions on record, or of no periods: they are drawn
    taste: Floats  # (P, 3) price sensitivity, the nest's rho, factor on the standard deviations of xi
    usual: Floats  # (P, N) units a period that demand forecasts begin at; (P, 0): at nothing, or none is observed


class Tape(NamedTuple):
    """Everything exogenous of the running episode, drawn when it begins."""

    intensity: Floats  # (M, T) mean number of customers, given the shocks
    customers: Floats  # (M, T) number of customers
    xi: Floats  # (M, T, N) shock to utility
    event: NDArray[np.int8]  # (M, T + A + 1, N) 1 while a promotion is on
    place: Ints  # (M,) which of the P scripts the episode plays
    price_sensitivity: Floats  # (M,) in that place
    nest: Floats  # (M,) rho in that place
    factor: Floats  # (T,) the calendar as forecasts know it, without surges; (0,) where no forecast is observed


class State(NamedTuple):
    """What changes from period to period. Saving a market means saving this and the tape."""

    seed: NDArray[np.uint64]  # (M,) of the row
    episode: Ints  # (M,) how many episodes the row has begun, from 0
    period: Ints  # (M,) 0 .. T
    on_hand: Floats  # (M, N) units
    pipeline: Floats  # (M, N, L) units that arrive in 1, 2, .. L periods
    price: Floats  # (M, N) last posted
    sold: Floats  # (M, N) last period
    lost: Floats  # (M, N) last period
    received: Floats  # (M, N) units that arrived at the start of this period
    reward: Floats  # (M, N) profit of the last period / reward scale
    reference: Floats  # (M, N) r, in units of f(price); (M, 0) in a market without reference prices
    smoothed: Floats  # (M, N) units a period at a calendar factor of 1; (M, 0) where no forecast is observed


class Scratch(NamedTuple):
    """Working space of the kernel, so that it allocates nothing; holds nothing between periods."""

    random: NDArray[np.uint64]  # (M,) stream position
    nest: Floats  # (M,) rho of the period that is played
    exponent: Floats  # (M, N) utility / (1 - nest)
    weight: Floats  # (M, N + 1) exp(exponent), of the outside option last, on a common scale
    first: Floats  # (M, N + 1) probability of a first choice
    second: Floats  # (M, N + 1) probability of a second choice
    threshold: Floats  # (M, N) cumulative first-choice probability
    again: Floats  # (M, N) cumulative second-choice probability
    left: Floats  # (M, N + 1) units not yet sold; the outside option never runs out
    wanting: Floats  # (M, N) customers on their way to their first choice
    turned: Floats  # (M, N) customers on their way to their second choice
    moment: Floats  # (M, N) when in the period the stock runs out, 0 to 1


class Features(NamedTuple):
    """Observation features as arrays: value = clip((raw - shift) * scale, low, high)."""

    source: Ints  # (F,)
    offset: Ints  # (F,) seats onward from one's own
    slot: Ints  # (F,) pipeline slot, calendar column or periods ahead
    shift: Floats  # (F, N) by seat observed
    scale: Floats  # (F, N)
    low: Floats  # (F,)
    high: Floats  # (F,)
    size: Floats  # (P,) the place's size as observed


Record = NDArray[Any]
Ledger = Mapping[str, Floats] | Record  # by field of LEDGER_UNITS: arrays of one shape, or records
