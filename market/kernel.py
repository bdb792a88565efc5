"""ONE period of ONE market as scalar functions that numba compiles; every cached numba function lives here.

The order of events is DESIGN's and the field's: arrivals of stock, simultaneous decisions, customers, accounts.
Customers choose by (nested) multinomial logit (Train, *Discrete Choice Methods with Simulation*, 2nd ed., ch. 3-4).
Nothing is allocated here, and every draw comes from a splitmix64 stream keyed by (seed of the row, episode,
period, customer, which draw): batch size, threads and order of stepping change no bit.

Symbols: m market, i and k sellers, n number of sellers, t period; index n stands for the outside option.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
TAPE, CUSTOMERS, LEARNERS, PLACE = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
SUBSTITUTE = np.uint64(0xD1B54A32D192ED03)
ON_HAND, PIPELINE, PRICE, SOLD, LOST, IN_STOCK, CALENDAR, EVENT, SIZE = range(9)
REFERENCE, LOG_REFERENCE, FORECAST = 9, 10, 11
ABSENT = -1e5  # a shock to utility at or below this: the seller is not offered, so that nobody at all buys from it
SMOOTHING = 0.2  # weight of the newest period in a demand forecast, as the forecast replenishment rule's default


def compiled(parallel: bool = False, inline: bool = False) -> Callable[[F], F]:
    """numba's njit with one set of options; without a cache where none can be written.

    ``inline``: calls pass tuples of arrays, which costs more than what most functions here do.
    """

    def wrap(function: F) -> F:
        options: dict[str, Any] = {"error_model": "numpy", "fastmath": False, "nogil": True, "_nrt": False}
        options |= {"parallel": parallel, "forceinline": inline}
        njit: Any = numba.njit
        try:
            return cast(F, njit(cache=True, **options)(function))
        except RuntimeError:  # numba: "cannot cache function ...: no locator available"
            return cast(F, njit(**options)(function))

    return wrap


# ---------------------------------------------------------------------------------------------- randomness


@compiled(inline=True)
def mix(z):
    """splitmix64's finaliser (Steele, Lea & Flood 2014): 64 bits in, 64 well-mixed bits out."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@compiled()
def key(seed, episode, period, purpose):
    """The stream of one (row seed, episode, period, purpose)."""
    z = mix(seed + GOLDEN)
    z = mix(z ^ (np.uint64(episode) * GOLDEN + purpose))
    return mix(z ^ (np.uint64(period) * GOLDEN + np.uint64(1)))


@compiled(inline=True)
def unit(bits):
    """A uniform number in [0, 1) from 64 bits."""
    return (bits >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@compiled(inline=True)
def uniform(random, m):
    """The next uniform number in (0, 1) of row m's stream."""
    random[m] += GOLDEN
    return ((mix(random[m]) >> np.uint64(12)) + 0.5) * (1.0 / 4503599627370496.0)


@compiled()
def normal(random, m):
    """A standard normal draw (Box & Muller 1958)."""
    radius = math.sqrt(-2.0 * math.log(uniform(random, m)))
    return radius * math.cos(2.0 * math.pi * uniform(random, m))


@compiled()
def gamma(random, m, shape):
    """A gamma draw of scale 1 (Marsaglia & Tsang 2000)."""
    boost = 1.0
    if shape < 1.0:
        boost = uniform(random, m) ** (1.0 / shape)
        shape += 1.0
    d = shape - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        x = normal(random, m)
        v = (1.0 + c * x) ** 3
        if v > 0.0 and math.log(uniform(random, m)) < 0.5 * x * x + d - d * v + d * math.log(v):
            return boost * d * v


@compiled()
def beta(random, m, a, b):
    """A beta draw: where the a-th of a + b - 1 uniform points lies."""
    x = gamma(random, m, a)
    return x / (x + gamma(random, m, b))


@compiled()
def poisson(random, m, mean):
    """A Poisson draw: inversion below a mean of 10, transformed rejection PTRS above (Hoermann 1993)."""
    if mean < 10.0:
        u, count, mass = uniform(random, m), 0.0, math.exp(-mean)
        while u > mass and count < 200.0:
            u -= mass
            count += 1.0
            mass *= mean / count
        return count
    root, log_mean = math.sqrt(mean), math.log(mean)
    b = 0.931 + 2.53 * root
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    v_r = 0.9277 - 3.6224 / (b - 2.0)
    while True:
        u = uniform(random, m) - 0.5
        v = uniform(random, m)
        us = 0.5 - abs(u)
        k = math.floor((2.0 * a / us + b) * u + mean + 0.43)
        if us >= 0.07 and v <= v_r:
            return k
        if k < 0.0 or (us < 0.013 and v > us):
            continue
        if math.log(v * inverse_alpha / (a / (us * us) + b)) <= k * log_mean - mean - math.lgamma(k + 1.0):
            return k


@compiled()
def binomial_below_half(random, m, n, p):
    """A binomial draw for p <= 1/2: inversion below a mean of 10, transformed rejection BTRS above (Hoermann 1993)."""
    ratio = p / (1.0 - p)
    if n * p < 10.0:
        u, count, mass = uniform(random, m), 0.0, (1.0 - p) ** n
        while u > mass and count < n:
            u -= mass
            count += 1.0
            mass *= ratio * (n - count + 1.0) / count
        return count
    spread = math.sqrt(n * p * (1.0 - p))
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * p
    c = n * p + 0.5
    v_r = 0.92 - 4.2 / b
    alpha = (2.83 + 5.1 / b) * spread
    mode = math.floor((n + 1.0) * p)
    while True:
        u = uniform(random, m) - 0.5
        v = uniform(random, m)
        us = 0.5 - abs(u)
        k = math.floor((2.0 * a / us + b) * u + c)
        if us >= 0.07 and v <= v_r:
            return k
        if k < 0.0 or k > n:
            continue
        log_mass = math.lgamma(mode + 1.0) + math.lgamma(n - mode + 1.0) - math.lgamma(k + 1.0)
        log_mass += (k - mode) * math.log(ratio) - math.lgamma(n - k + 1.0)
        if math.log(v * alpha / (a / (us * us) + b)) <= log_mass:
            return k


@compiled()
def binomial(random, m, n, p):
    """How many of n customers do what each does with probability p."""
    if n <= 0.0 or p <= 0.0:
        return 0.0
    if p >= 1.0:
        return n
    if p > 0.5:
        return n - binomial_below_half(random, m, n, 1.0 - p)
    return binomial_below_half(random, m, n, p)


@compiled()
def hypergeometric(random, m, marked, others, drawn):
    """How many of ``drawn`` taken without replacement are ``marked``."""
    hits = 0.0
    for taken in range(int(drawn)):
        if uniform(random, m) * (marked + others - taken) < marked - hits:
            hits += 1.0
    return hits


# ---------------------------------------------------------------------------------------------- the tape


@compiled()
def draw_tape(market, sellers, script, tape, state, scratch, m):
    """Draw an episode's place, customers, shocks and events for row m from its seed and episode number."""
    n, horizon = sellers.shape[0], tape.customers.shape[1]
    place, scripted = draw_place(script, state, m), script.factor.shape[1]
    tape.place[m] = place
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
            tape.xi[m, t, i] = common + own[m, i]
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


# ---------------------------------------------------------------------------------------------- choice


@compiled(inline=True)
def felt_price(market, price):
    """f(p): the price, or its logarithm."""
    return math.log(price) if market.log_price else price


@compiled(inline=True)
def utilities(market, sellers, tape, state, scratch, m, t):
    """Set u_i / (1 - rho) of every seller.

    u_i = quality_i - price_sensitivity f(p_i) + events_it + xi_it + reference weight x (r_it - f(p_i)).
    """
    for i in range(sellers.shape[0]):
        price = felt_price(market, state.price[m, i])
        utility = sellers[i].quality - market.price_sensitivity * price + tape.xi[m, t, i]
        if tape.event[m, t, i]:
            utility += market.event_effect
        scratch.exponent[m, i] = utility / (1.0 - market.nest) if tape.xi[m, t, i] > ABSENT else -math.inf
    if market.reference_weight > 0.0:
        hold_against_reference(market, state, scratch, m, sellers.shape[0])


@compiled()
def hold_against_reference(market, state, scratch, m, n):
    """Add weight (r_it - f(p_i)) to every seller's utility; in a function of its own, so that others' loops stay fast."""
    for i in range(n):
        gain = state.reference[m, i] - felt_price(market, state.price[m, i])
        scratch.exponent[m, i] += market.reference_weight * gain / (1.0 - market.nest)


@compiled(inline=True)
def weigh(market, scratch, m, n, all_sellers):
    """Set the weights exp(u_i / (1 - rho)) of all sellers, or of those in stock, and of the outside option (index n).

    The largest exponent is taken off before exp, so no utility overflows; shares do not change.
    """
    top = -1e300
    for i in range(n):
        if all_sellers or scratch.left[m, i] > 0.0:
            top = max(top, scratch.exponent[m, i])
    for i in range(n):
        if all_sellers or scratch.left[m, i] > 0.0:
            scratch.weight[m, i] = math.exp(scratch.exponent[m, i] - top)
    scratch.weight[m, n] = math.exp(min(market.outside - (1.0 - market.nest) * top, 700.0))


@compiled(inline=True)
def buy_probability(market, inclusive, outside):
    """P(some seller) = S^(1-rho) / (S^(1-rho) + e^u0), S the sum of weights offered (Train 2009, eq. 4.5)."""
    if inclusive <= 0.0:
        return 0.0
    attraction = inclusive if market.nest == 0.0 else inclusive ** (1.0 - market.nest)
    return attraction / (attraction + outside)


@compiled(inline=True)
def first_choices(market, scratch, m, n):
    """Probability of each seller being the first choice among all; index n is the outside option."""
    weigh(market, scratch, m, n, True)
    inclusive, outside = 0.0, scratch.weight[m, n]
    for i in range(n):
        inclusive += scratch.weight[m, i]
    buys = buy_probability(market, inclusive, outside)
    if inclusive == 0.0:  # no seller is offered
        inclusive = 1.0
    for i in range(n):
        scratch.first[m, i] = buys * scratch.weight[m, i] / inclusive
    scratch.first[m, n] = 1.0 - buys if outside > 0.0 else 0.0


@compiled(inline=True)
def inclusive_in_stock(scratch, m, n):
    """The sum of the weights of the sellers in stock."""
    inclusive = 0.0
    for i in range(n):
        if scratch.left[m, i] > 0.0:
            inclusive += scratch.weight[m, i]
    return inclusive


@compiled()
def second_choices(market, scratch, m, n):
    """Probability of each second choice k in stock: [P(k|S) - P(k|A)] / sum over j not in S of P(j|A)."""
    inclusive, turned = inclusive_in_stock(scratch, m, n), 0.0
    if inclusive < 1e-200:  # next to whom is sold out these weigh nothing: weigh them anew among themselves
        weigh(market, scratch, m, n, False)
        inclusive = inclusive_in_stock(scratch, m, n)
    for i in range(n):
        if scratch.left[m, i] <= 0.0:
            turned += scratch.first[m, i]
    buys = buy_probability(market, inclusive, scratch.weight[m, n])
    for i in range(n):
        scratch.second[m, i] = 0.0
        if scratch.left[m, i] > 0.0 and turned > 0.0 and inclusive > 0.0:
            within = buys * scratch.weight[m, i] / inclusive
            scratch.second[m, i] = max(0.0, within - scratch.first[m, i]) / turned


# ---------------------------------------------------------------------------------------------- customers


@compiled(inline=True)
def accumulate(probability, threshold, m, n, last):
    """Set the thresholds of a uniform number; from seller ``last`` on they are never met (-1: none is)."""
    total = 0.0
    for i in range(n):
        total += probability[m, i]
        threshold[m, i] = 2.0 if 0 <= last <= i else total


@compiled(inline=True)
def pick(threshold, m, n, u):
    """The option whose interval holds u: the number of thresholds that u has passed (no branch)."""
    choice = 0
    for i in range(n):
        choice += u >= threshold[m, i]
    return choice


@compiled(inline=True)
def serve_one_by_one(market, state, scratch, m, n, customers, stream):
    """Customers come one by one; one whose first choice is short of stock is a lost sale and may choose again."""
    left, basket, served_by = scratch.left, market.basket, -1
    accumulate(scratch.first, scratch.threshold, m, n, n - 1 if scratch.weight[m, n] == 0.0 else -1)
    for customer in range(int(customers)):
        bits = mix(stream + np.uint64(customer) * GOLDEN)
        choice = pick(scratch.threshold, m, n, unit(bits))
        if left[m, choice] >= basket:
            left[m, choice] -= basket
            continue
        if take_what_is_left(market, state, scratch, m, choice):
            continue
        in_stock = count_in_stock(scratch, m, n)
        if in_stock != served_by:
            served_by = in_stock
            choose_again(market, scratch, m, n)
        u = unit(mix(bits ^ SUBSTITUTE))
        if u < market.substitution:
            choice = pick(scratch.again, m, n, u / market.substitution)
            if choice < n:
                take_what_is_left(market, state, scratch, m, choice)


@compiled(inline=True)
def take_what_is_left(market, state, scratch, m, i):
    """A customer takes a basket, or what there is, from seller i; the rest is lost. Whether it got anything."""
    taken = min(market.basket, scratch.left[m, i])
    scratch.left[m, i] -= taken
    state.lost[m, i] += market.basket - taken
    return taken > 0.0


@compiled(inline=True)
def count_in_stock(scratch, m, n):
    """How many sellers have stock; within a period this only falls, so it tells when second choices change."""
    count = 0
    for i in range(n):
        count += scratch.left[m, i] > 0.0
    return count


@compiled()
def choose_again(market, scratch, m, n):
    """Set the thresholds of a second choice among the sellers in stock."""
    second_choices(market, scratch, m, n)
    last = -1
    if scratch.weight[m, n] == 0.0:
        for i in range(n):
            if scratch.left[m, i] > 0.0:
                last = i
    accumulate(scratch.second, scratch.again, m, n, last)


@compiled()
def share_of(market, scratch, m, count, p, stream, which):
    """How many of ``count`` customers do a thing of probability p: drawn, or the mean in the fluid limit."""
    if market.expected:
        return count * min(max(p, 0.0), 1.0)
    scratch.random[m] = mix(stream + np.uint64(which) * SUBSTITUTE)
    return binomial(scratch.random, m, count, p)


@compiled()
def spread(market, scratch, m, n, count, probability, into, stream, which):
    """Send ``count`` customers to the n sellers (multinomial, by conditional binomials); return the rest."""
    rest, mass = count, 1.0
    for i in range(n):
        p = probability[m, i]
        if market.expected:
            into[m, i] = count * p
        else:
            into[m, i] = share_of(market, scratch, m, rest, p / mass if mass > 0.0 else 1.0, stream, which + i)
        rest -= into[m, i]
        mass -= p
    return max(rest, 0.0)


@compiled()
def run_out(market, scratch, m, n, stream, which):
    """Find the first seller to sell out: set every seller's moment (2 = not at all), return the first, or -1.

    Requests come at independent uniform moments, so the c-th of r comes at a Beta(c, r - c + 1) moment. That
    c = r requests take exactly what there is counts too: whoever comes later chooses among the others.
    """
    winner, soonest = -1, 1.5
    for i in range(n):
        scratch.moment[m, i] = 2.0
        requests = scratch.wanting[m, i] + scratch.turned[m, i]
        stock = scratch.left[m, i] / market.basket
        if stock <= 0.0:
            continue
        if market.expected:
            if requests > stock:
                scratch.moment[m, i] = stock / requests
        elif requests >= math.ceil(stock):
            stock = math.ceil(stock)
            scratch.random[m] = mix(stream + np.uint64(which + i) * SUBSTITUTE)
            scratch.moment[m, i] = beta(scratch.random, m, stock, requests - stock + 1.0)
        if scratch.moment[m, i] < soonest:
            winner, soonest = i, scratch.moment[m, i]
    return winner


@compiled()
def served_before(market, scratch, m, i, winner, stream, which):
    """How many of seller i's requests came before ``winner`` sold out."""
    requests = scratch.wanting[m, i] + scratch.turned[m, i]
    moment, own = scratch.moment[m, winner], scratch.moment[m, i]
    capacity = scratch.left[m, i] / market.basket
    if market.expected:
        return capacity if i == winner else requests * moment
    capacity = math.ceil(capacity)
    if i == winner:
        return capacity
    if own <= 1.0:
        return share_of(market, scratch, m, capacity - 1.0, moment / own, stream, which)
    return share_of(market, scratch, m, requests, moment, stream, which)


@compiled()
def sell(market, state, scratch, m, i, requests):
    """Hand out up to ``requests`` baskets; what the last basket lacks is lost."""
    units = requests * market.basket
    taken = min(units, scratch.left[m, i])
    scratch.left[m, i] -= taken
    state.lost[m, i] += units - taken


@compiled()
def first_among(market, scratch, m, i, before, stream, which):
    """How many of the ``before`` requests served at i were first choices (the others had been turned away)."""
    wanting, turned = scratch.wanting[m, i], scratch.turned[m, i]
    if turned <= 0.0:
        return before
    if market.expected:
        return before * wanting / (wanting + turned)
    scratch.random[m] = mix(stream + np.uint64(which) * SUBSTITUTE)
    return hypergeometric(scratch.random, m, wanting, turned, before)


@compiled()
def serve_in_stages(market, state, scratch, m, n, customers, stream):
    """The same process in at most n + 1 stages, each lasting until the next seller runs out.

    Exact in distribution in sampled mode, and the fluid limit in expected mode. First choices are counted
    directly; between two stockouts all streams are thinned by the moment of the next one.
    """
    spread(market, scratch, m, n, customers, scratch.first, scratch.wanting, stream, 1)
    turned_away = 0.0
    for stage in range(n + 1):
        which = 8 * n * (stage + 1)
        for i in range(n):
            if scratch.left[m, i] <= 0.0:
                turned_away += turn_away(market, state, scratch, m, i)
        idle = turned_away
        for i in range(n):
            scratch.turned[m, i] = 0.0
        if turned_away > 0.0:
            second_choices(market, scratch, m, n)
            again = share_of(market, scratch, m, turned_away, market.substitution, stream, which)
            idle += spread(market, scratch, m, n, again, scratch.second, scratch.turned, stream, which + 1) - again
        winner = run_out(market, scratch, m, n, stream, which + 2 * n)
        if winner < 0:
            for i in range(n):
                sell(market, state, scratch, m, i, scratch.wanting[m, i] + scratch.turned[m, i])
            return
        turned_away = idle - share_of(market, scratch, m, idle, scratch.moment[m, winner], stream, which + 3 * n)
        for i in range(n):
            turned_away += serve_stage(market, state, scratch, m, i, winner, stream, which + 4 * n + 2 * i + 1)
        scratch.left[m, winner] = 0.0


@compiled()
def turn_away(market, state, scratch, m, i):
    """Seller i is sold out: all who still want it are lost sales; return how many customers they are."""
    wanting = scratch.wanting[m, i]
    scratch.wanting[m, i] = 0.0
    state.lost[m, i] += wanting * market.basket
    return wanting


@compiled()
def serve_stage(market, state, scratch, m, i, winner, stream, which):
    """Serve seller i until ``winner`` sells out; return its second-choice customers who come only later."""
    if scratch.left[m, i] <= 0.0:
        return 0.0
    before = served_before(market, scratch, m, i, winner, stream, which)
    wanted_it_first = first_among(market, scratch, m, i, before, stream, which + 1)
    sell(market, state, scratch, m, i, before)
    scratch.wanting[m, i] -= wanted_it_first
    return scratch.turned[m, i] - (before - wanted_it_first)


# ---------------------------------------------------------------------------------------------- one period


@compiled(inline=True)
def decide(market, sellers, state, ledger, m, i, price, quantity):
    """Seller i posts a price (kept inside its range) and places an order (whole units in sampled mode)."""
    seller = sellers[i]
    posted = min(max(price, seller.price_low), seller.price_high)
    changed = posted != state.price[m, i]
    ordered = max(quantity, 0.0) if market.stocked else 0.0
    if not market.expected:
        ordered = math.floor(ordered + 0.5)
    entry = ledger[m, i]
    entry.received = state.received[m, i]
    if seller.lead_time == 0:
        state.on_hand[m, i] += ordered
        entry.received += ordered
    else:
        state.pipeline[m, i, seller.lead_time - 1] += ordered
    state.price[m, i] = posted
    entry.price, entry.ordered, entry.on_hand = posted, ordered, state.on_hand[m, i]
    entry.price_change_cost = seller.price_change_cost if changed else 0.0


@compiled(inline=True)
def serve_customers(market, sellers, tape, state, scratch, m):
    """All customers of the period: set what each seller sold, lost and has left."""
    n, t = sellers.shape[0], state.period[m]
    for i in range(n):
        scratch.left[m, i] = state.on_hand[m, i] if market.stocked else math.inf
        state.lost[m, i] = 0.0
    scratch.left[m, n] = math.inf
    utilities(market, sellers, tape, state, scratch, m, t)
    first_choices(market, scratch, m, n)
    customers = tape.customers[m, t]
    stream = key(state.seed[m], state.episode[m], t, CUSTOMERS)
    if not market.stocked:
        spread(market, scratch, m, n, customers, scratch.first, scratch.wanting, stream, 1)
        for i in range(n):
            state.sold[m, i] = scratch.wanting[m, i] * market.basket
        return
    if market.expected or customers >= market.direct_from:
        serve_in_stages(market, state, scratch, m, n, customers, stream)
    else:
        serve_one_by_one(market, state, scratch, m, n, customers, stream)
    for i in range(n):
        state.sold[m, i] = state.on_hand[m, i] - scratch.left[m, i]
        state.on_hand[m, i] = scratch.left[m, i]


@compiled(inline=True)
def account(market, sellers, state, ledger, m, i, market_size):
    """profit = revenue - purchase, order, holding, stockout and price-change cost: the one identity."""
    seller, entry = sellers[i], ledger[m, i]
    if not market.stocked:
        entry.ordered = state.sold[m, i]
        entry.received = state.sold[m, i]
        entry.on_hand = state.sold[m, i]
    entry.sold, entry.lost = state.sold[m, i], state.lost[m, i]
    entry.on_hand_left, entry.market_size = state.on_hand[m, i], market_size
    entry.on_order = 0.0
    for slot in range(state.pipeline.shape[2]):
        entry.on_order += state.pipeline[m, i, slot]
    entry.revenue = entry.price * entry.sold
    entry.purchase_cost = seller.unit_cost * entry.ordered
    entry.order_cost = seller.order_cost if entry.ordered > 0.0 else 0.0
    entry.holding_cost = seller.holding_cost * entry.on_hand_left
    entry.stockout_cost = seller.stockout_cost * entry.lost
    costs = entry.purchase_cost + entry.order_cost + entry.holding_cost
    entry.profit = entry.revenue - (costs + entry.stockout_cost + entry.price_change_cost)
    state.reward[m, i] = entry.profit / seller.reward_scale


@compiled(inline=True)
def receive(state, m, i):
    """The next period begins: what is due joins the stock on hand, the pipeline moves up."""
    slots = state.pipeline.shape[2]
    if slots == 0:
        return
    state.received[m, i] = state.pipeline[m, i, 0]
    state.on_hand[m, i] += state.received[m, i]
    for slot in range(1, slots):
        state.pipeline[m, i, slot - 1] = state.pipeline[m, i, slot]
    state.pipeline[m, i, slots - 1] = 0.0


@compiled()
def adapt_references(market, state, m, n):
    """r <- memory r + (1 - memory) f(p), written so that a price held for good leaves r = f(p) to the bit."""
    for i in range(n):
        price = felt_price(market, state.price[m, i])
        state.reference[m, i] = market.reference_memory * (state.reference[m, i] - price) + price


@compiled()
def smooth_demand(tape, state, m, n):
    """Exponential smoothing of own demand, sold + lost, per unit of the calendar's factor (Brown 1959).

    A period to which the calendar sends nobody tells nothing.
    """
    factor = tape.factor[state.period[m]]
    if factor > 0.0:
        for i in range(n):
            demand = (state.sold[m, i] + state.lost[m, i]) / factor
            state.smoothed[m, i] += SMOOTHING * (demand - state.smoothed[m, i])


@compiled(inline=True)
def play_period(market, sellers, tape, state, scratch, ledger, m, price, quantity):
    """One period of market m: decisions, customers, accounts, and the arrivals that open the next one."""
    for i in range(sellers.shape[0]):
        decide(market, sellers, state, ledger, m, i, price[m, i], quantity[m, i])
    serve_customers(market, sellers, tape, state, scratch, m)
    market_size = tape.customers[m, state.period[m]] * market.basket
    for i in range(sellers.shape[0]):
        account(market, sellers, state, ledger, m, i, market_size)
        receive(state, m, i)
    if market.reference_weight > 0.0:
        adapt_references(market, state, m, sellers.shape[0])
    if state.smoothed.shape[1] > 0:
        smooth_demand(tape, state, m, sellers.shape[0])
    state.period[m] += 1


# ---------------------------------------------------------------------------------------------- observation


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


# ---------------------------------------------------------------------------------------------- over markets


@compiled()
def step_serial(markets, sellers, tape, state, scratch, ledger, price, quantity):
    for m in range(price.shape[0]):
        play_period(markets[0], sellers, tape, state, scratch, ledger, m, price, quantity)


@compiled(parallel=True)
def step_parallel(markets, sellers, tape, state, scratch, ledger, price, quantity):
    for m in numba.prange(price.shape[0]):
        play_period(markets[0], sellers, tape, state, scratch, ledger, m, price, quantity)


@compiled()
def begin_serial(markets, sellers, script, tape, state, scratch, rows):
    for r in range(rows.shape[0]):
        begin_episode(markets[0], sellers, script, tape, state, scratch, rows[r])


@compiled(parallel=True)
def begin_parallel(markets, sellers, script, tape, state, scratch, rows):
    for r in numba.prange(rows.shape[0]):
        begin_episode(markets[0], sellers, script, tape, state, scratch, rows[r])


@compiled()
def observe_serial(features, calendar, tape, state, out):
    for m in range(out.shape[0]):
        observe_market(features, calendar, tape, state, m, out)


@compiled(parallel=True)
def observe_parallel(features, calendar, tape, state, out):
    for m in numba.prange(out.shape[0]):
        observe_market(features, calendar, tape, state, m, out)


# ---------------------------------------------------------------------------------------------- tabular learners
#
# Q-learning sellers with one period of memory, driven by play_period. Symbols: s the state (the price indices that
# all sellers posted last, as one number), a the price index that seller i posts, m the row (a session of learning).


@compiled(inline=True)
def explore(tables, epsilon, bits, m, i):
    """Seller i's price index: any with probability epsilon, else the greedy one; one uniform number decides both."""
    u = unit(bits)
    if u < epsilon:
        return int(u / epsilon * tables.actions[i])
    return tables.greedy[m, i, tables.state[m]]


@compiled(inline=True)
def first_best(tables, m, i, s):
    """The first of seller i's best price indices in state s."""
    best = 0
    for a in range(1, tables.actions[i]):
        if tables.q[m, i, s, a] > tables.q[m, i, s, best]:
            best = a
    return best


@compiled(inline=True)
def improve(tables, alpha, m, i, s, a, target):
    """Q(s, a) <- (1 - alpha) Q(s, a) + alpha target; whether the greedy price in s changes by it.

    Only when the greedy price's own value falls must the others be looked at.
    """
    old, best = tables.q[m, i, s, a], tables.greedy[m, i, s]
    value = (1.0 - alpha) * old + alpha * target
    tables.q[m, i, s, a] = value
    if a == best:
        if value < old:
            best = first_best(tables, m, i, s)
    elif value > tables.q[m, i, s, best] or (value == tables.q[m, i, s, best] and a < best):
        best = a
    changed = best != tables.greedy[m, i, s]
    tables.greedy[m, i, s] = best
    return changed


@compiled(inline=True)
def turn_page(market, sellers, script, tape, state, scratch, m, price):
    """Begin row m's next episode when this one is over: new customers, but the prices on the shelf stay."""
    if state.period[m] < tape.customers.shape[1]:
        return
    begin_episode(market, sellers, script, tape, state, scratch, m)
    for i in range(sellers.shape[0]):
        state.price[m, i] = price[m, i]


@compiled(inline=True)
def learn_period(market, sellers, tape, state, scratch, ledger, m, price, quantity, tables, rule, stream):
    """All sellers of row m post, the market plays its period, all learn from their profit (Watkins & Dayan 1992)."""
    n, s, age = sellers.shape[0], tables.state[m], tables.age[m]
    epsilon = math.exp(-rule.beta * age)
    following = 0
    for i in range(n):
        a = explore(tables, epsilon, mix(stream + np.uint64(age * n + i) * GOLDEN), m, i)
        tables.action[m, i] = a
        price[m, i] = tables.price[i, a]
        following += a * tables.stride[i]
    play_period(market, sellers, tape, state, scratch, ledger, m, price, quantity)
    changed = False
    for i in range(n):
        best_next = tables.q[m, i, following, tables.greedy[m, i, following]]
        target = ledger[m, i].profit + rule.delta * best_next
        changed |= improve(tables, rule.alpha, m, i, s, tables.action[m, i], target)
    tables.state[m] = following
    tables.age[m] = age + 1
    tables.unchanged[m] = 0 if changed else tables.unchanged[m] + 1


@compiled(inline=True)
def learn_session(market, sellers, script, tape, state, scratch, ledger, m, price, quantity, tables, rule, periods):
    """At most ``periods`` of row m, ended by a greedy policy unchanged for ``rule.stable`` or by ``rule.longest``."""
    stream = key(state.seed[m], 0, 0, LEARNERS)
    for _ in range(periods):
        if tables.unchanged[m] >= rule.stable or tables.age[m] >= rule.longest:
            return
        turn_page(market, sellers, script, tape, state, scratch, m, price)
        learn_period(market, sellers, tape, state, scratch, ledger, m, price, quantity, tables, rule, stream)


@compiled()
def learn_serial(markets, sellers, script, tape, state, scratch, ledger, price, quantity, tables, rules, rows, periods):
    for r in range(rows.shape[0]):
        learn_session(
            markets[0],
            sellers,
            script,
            tape,
            state,
            scratch,
            ledger,
            rows[r],
            price,
            quantity,
            tables,
            rules[0],
            periods,
        )


@compiled(parallel=True)
def learn_parallel(
    markets, sellers, script, tape, state, scratch, ledger, price, quantity, tables, rules, rows, periods
):
    for r in numba.prange(rows.shape[0]):
        learn_session(
            markets[0],
            sellers,
            script,
            tape,
            state,
            scratch,
            ledger,
            rows[r],
            price,
            quantity,
            tables,
            rules[0],
            periods,
        )
