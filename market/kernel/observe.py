"""What every seat sees of its market, scaled and always inside the bounds declared."""

from __future__ import annotations

import math

from market.kernel.jit import compiled

ON_HAND, PIPELINE, PRICE, SOLD, LOST, IN_STOCK, CALENDAR, EVENT, SIZE = range(9)  # sources of a feature
REFERENCE, LOG_REFERENCE, FORECAST = 9, 10, 11


@compiled(inline=True)
def observe_market(features, calendar, tape, state, m, out):
    """Fill out[m, seat, feature], always inside the features' bounds."""
    n = out.shape[1]
    for seat in range(n):
        for f in range(out.shape[2]):
            i = (seat + features.offset[f]) % n
            value = (raw_feature(features, calendar, tape, state, m, i, f) - features.shift[f, i]) * features.scale[
                f, i
            ]
            out[m, seat, f] = min(max(value, features.low[f]), features.high[f])


@compiled(inline=True)
def raw_feature(features, calendar, tape, state, m, i, f):
    """The unscaled value of feature f about seller i."""
    source, slot, t = features.source[f], features.slot[f], state.period[m]
    if source == ON_HAND:
        return state.on_hand[m, i]
    if source == PIPELINE:
        return state.pipeline[m, i, slot]
    if source == PRICE:
        return state.price[m, i]
    if source == SOLD:
        return state.sold[m, i]
    if source == LOST:
        return state.lost[m, i]
    if source == IN_STOCK:
        return 1.0 if state.on_hand[m, i] > 0.0 else 0.0
    if source == CALENDAR:
        return calendar[t, slot]
    if source == SIZE:
        return features.size[tape.place[m]]
    if source == REFERENCE:
        return state.reference[m, i]
    if source == LOG_REFERENCE:
        return math.exp(state.reference[m, i])
    if source == FORECAST:
        return state.smoothed[m, i] * calendar[t, slot + i]
    return float(tape.event[m, t + slot, i])
