"""The beginning of an episode: everything exogenous is drawn into the tape, and the state is set back.

After this a period is a deterministic function of state, decisions, tape and seed.
"""

from __future__ import annotations

import math

from market.kernel.choice import felt_price
from market.kernel.jit import compiled
from market.kernel.randomness import PLACE, TAPE, gamma, key, normal, poisson, uniform, unit


@compiled()
def begin_episode(market, sellers, script, tape, state, scratch, m):
    """Put row m at the start of its next episode."""
    state.episode[m] += 1
    state.period[m] = 0
    draw_tape(market, sellers, script, tape, state, scratch, m)
    for i in range(sellers.shape[0]):
        state.on_hand[m, i] = sellers[i].stock
        state.price[m, i] = sellers[i].first_price
        state.sold[m, i] = 0.0
        state.lost[m, i] = 0.0
        state.received[m, i] = 0.0
        state.reward[m, i] = 0.0
        for slot in range(state.pipeline.shape[2]):
            state.pipeline[m, i, slot] = 0.0
        if market.reference_weight > 0.0:
            state.reference[m, i] = felt_price(market, sellers[i].first_price)
        if state.smoothed.shape[1] > 0:
            state.smoothed[m, i] = script.usual[tape.place[m], i] if script.usual.shape[1] > 0 else 0.0


@compiled()
def draw_tape(market, sellers, script, tape, state, scratch, m):
    """Draw an episode's place, customers, shocks and events for row m from its seed and episode number."""
    n, horizon = sellers.shape[0], tape.customers.shape[1]
    place, scripted = draw_place(script, state, m), script.factor.shape[1]
    tape.place[m] = place
    tape.price_sensitivity[m], tape.nest[m] = script.taste[place, 0], script.taste[place, 1]
    shock, common = 0.0, 0.0
    for t in range(horizon):
        scratch.random[m] = key(state.seed[m], state.episode[m], t, TAPE)
        shock = autoregress(scratch.random, m, shock, t, market.shock_sd, market.shock_persistence)
        intensity = script.calendar[t] * math.exp(shock - 0.5 * market.shock_sd**2)
        if scripted > 0:
            intensity *= script.factor[place, t % scripted]
        if market.dispersion > 0.0 and not market.expected:
            intensity *= gamma(scratch.random, m, 1.0 / market.dispersion) * market.dispersion
        tape.intensity[m, t] = intensity
        tape.customers[m, t] = intensity if market.expected else poisson(scratch.random, m, intensity)
        common = autoregress(scratch.random, m, common, t, market.xi_common, market.xi_persistence)
        own = scratch.weight
        for i in range(n):
            own[m, i] = autoregress(scratch.random, m, own[m, i], t, sellers[i].xi, market.xi_persistence)
            tape.xi[m, t, i] = (common + own[m, i]) * script.taste[place, 2]
            if scripted > 0:
                tape.xi[m, t, i] += script.utility[place, t % scripted, i]
    if script.event.shape[1] > 0:
        copy_events(script, tape, place, m)
    else:
        draw_events(market, sellers, tape, state, scratch, horizon, m)


@compiled()
def draw_place(script, state, m):
    """Which script the episode plays: each is as likely."""
    places = script.factor.shape[0]
    return int(unit(key(state.seed[m], state.episode[m], 0, PLACE)) * places) if places > 1 else 0


@compiled()
def copy_events(script, tape, place, m):
    """The promotions on record; none is announced beyond the record's end."""
    for t in range(tape.event.shape[1]):
        for i in range(tape.event.shape[2]):
            tape.event[m, t, i] = script.event[place, t, i] if t < script.event.shape[1] else 0


@compiled()
def draw_events(market, sellers, tape, state, scratch, horizon, m):
    """Draw promotions: they begin and end by chance."""
    n = sellers.shape[0]
    for t in range(tape.event.shape[1]):
        scratch.random[m] = key(state.seed[m], state.episode[m], horizon + t, TAPE)
        for i in range(n):
            chance = sellers[i].event_frequency
            if t > 0:
                chance = 1.0 - market.event_stop if tape.event[m, t - 1, i] else sellers[i].event_start
            tape.event[m, t, i] = chance > 0.0 and uniform(scratch.random, m) < chance


@compiled()
def autoregress(random, m, value, t, sd, persistence):
    """The next value of a stationary Gaussian AR(1) of standard deviation sd, begun in its stationary law."""
    if sd == 0.0:
        return 0.0
    if t == 0:
        return sd * normal(random, m)
    return persistence * value + sd * math.sqrt(1.0 - persistence * persistence) * normal(random, m)
