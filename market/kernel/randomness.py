"""Draws that are a pure function of their key, from splitmix64 streams (Steele, Lea & Flood 2014).

A stream is keyed by (seed of the row, episode, period, purpose), a customer is a number in it: batch size, threads
and order of stepping change no bit. Row m's position in its stream is ``random[m]``.
"""

from __future__ import annotations

import math

import numpy as np

from market.kernel.jit import compiled

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
SUBSTITUTE = np.uint64(0xD1B54A32D192ED03)  # sets a stream's second kind of draws off from its first
MANY = 4096  # draws without replacement that are not made one by one
TAPE, CUSTOMERS, LEARNERS, PLACE = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)  # purposes


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
def hypergeometric(random, m, marked, others, drawn):
    """How many of ``drawn`` taken without replacement are ``marked``: one by one, or many at once."""
    if drawn >= MANY:
        return hypergeometric_many(random, m, marked, others, drawn)
    hits = 0.0
    for taken in range(int(drawn)):
        if uniform(random, m) * (marked + others - taken) < marked - hits:
            hits += 1.0
    return hits


@compiled()
def hypergeometric_many(random, m, marked, others, drawn):
    """The same by rejection (HRUA; Stadlober 1990, *Journal of Computational and Applied Mathematics* 31(1)).

    By symmetry the rarer kind is counted among what is drawn or left, whichever is less; no trial costs more than another.
    """
    total = marked + others
    rare, common, taken = min(marked, others), max(marked, others), min(drawn, total - drawn)
    share = rare / total
    middle = taken * share + 0.5
    deviation = math.sqrt((total - taken) * taken * share * (1.0 - share) / (total - 1.0) + 0.5)
    width = 1.7155277699214135 * deviation + 0.8989161620588988  # 2 sqrt(2 / e), 3 - 2 sqrt(3 / e)
    mode = math.floor((taken + 1.0) * (rare + 1.0) / (total + 2.0))
    top = log_factorials(mode, rare, common, taken)
    end = min(min(taken, rare) + 1.0, math.floor(middle + 16.0 * deviation))
    while True:
        u = uniform(random, m)
        x = middle + width * (uniform(random, m) - 0.5) / u
        if x < 0.0 or x >= end:
            continue
        hits = math.floor(x)
        if 2.0 * math.log(u) <= top - log_factorials(hits, rare, common, taken):
            break
    if marked > others:
        hits = taken - hits
    return hits if drawn <= total - drawn else marked - hits


@compiled()
def log_factorials(hits, rare, common, taken):
    """Minus the logarithm of the probability of so many hits, up to a constant."""
    found = math.lgamma(hits + 1.0) + math.lgamma(rare - hits + 1.0)
    return found + math.lgamma(taken - hits + 1.0) + math.lgamma(common - taken + hits + 1.0)
