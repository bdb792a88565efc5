"""The same for every row m of a batch, one after the other or on all cores: what Python calls.

Parallel loops count in unsigned numbers: made plain ones, they call the same machine code as the others, which is
compiled once. A forked child of a process that has run a parallel loop dies (GNU OpenMP): workers are spawned.
"""

from __future__ import annotations

import numba
import numpy as np

from market.kernel.jit import compiled
from market.kernel.observe import observe_market
from market.kernel.period import play_period
from market.kernel.tape import begin_episode


@compiled()
def begin_serial(markets, sellers, script, tape, state, scratch, rows):
    for r in range(rows.shape[0]):
        begin_episode(markets[0], sellers, script, tape, state, scratch, rows[r])


@compiled(parallel=True)
def begin_parallel(markets, sellers, script, tape, state, scratch, rows):
    for r in numba.prange(rows.shape[0]):
        begin_episode(markets[0], sellers, script, tape, state, scratch, rows[r])


@compiled()
def step_serial(markets, sellers, tape, state, scratch, ledger, price, quantity):
    for m in range(price.shape[0]):
        play_period(markets[0], sellers, tape, state, scratch, ledger, m, price, quantity)


@compiled(parallel=True)
def step_parallel(markets, sellers, tape, state, scratch, ledger, price, quantity):
    for m in numba.prange(price.shape[0]):
        play_period(markets[0], sellers, tape, state, scratch, ledger, np.int64(m), price, quantity)


@compiled()
def observe_serial(features, calendar, tape, state, out):
    for m in range(out.shape[0]):
        observe_market(features, calendar, tape, state, m, out)


@compiled(parallel=True)
def observe_parallel(features, calendar, tape, state, out):
    for m in numba.prange(out.shape[0]):
        observe_market(features, calendar, tape, state, np.int64(m), out)
