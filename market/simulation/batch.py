"""MarketBatch: M markets side by side as arrays. The environment and all training and evaluation run on it.

Row m of a batch is bit for bit the single market with row m's seed; threads and batch size change nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numba
import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from market.demand.equilibrium import reward_scales
from market.demand.script import build_script, calendar, known_calendar, recorded_prices
from market.errors import UserError
from market.kernel import loops
from market.simulation.observation import (
    calendar_features,
    compile_features,
    feature_list,
    usual_demand,
)
from market.spec.models import HUGE, MarketSpec
from market.state import LEDGER, MARKET, SELLER, Floats, Ints, Record, Scratch, Script, State, Tape

# Two threads that meet on a busy machine wait for one another: 256 markets stepped in 5 ms with them, 0.05 without.
PARALLEL_FROM = 1024
DIRECT_FROM_PER_SELLER = 32
IF_USED = ("reference", "smoothed", "factor")  # arrays that only some markets have
OF_PLACE = ("price_sensitivity", "nest")  # of the tape, not saved: the place says them


def compile_market(spec: MarketSpec) -> Record:
    """The market's parameters as (1,) record, the form in which numba passes one to its threads."""
    record = np.zeros(1, MARKET)
    customers, shock, events = spec.customers, spec.demand_shock, spec.events
    record["log_price"] = spec.price_form == "log"
    record["outside"] = spec.outside
    record["basket"], record["substitution"] = customers.basket, customers.substitution
    record["expected"], record["stocked"] = customers.mode == "expected", spec.stocked
    record["direct_from"] = DIRECT_FROM_PER_SELLER * len(spec.sellers)
    record["dispersion"] = customers.dispersion
    record["shock_persistence"], record["xi_persistence"] = customers.shock.persistence, shock.persistence
    record["shock_sd"], record["xi_common"] = customers.shock.sd, shock.common
    record["event_effect"] = events.effect if events else 0.0
    record["event_stop"] = 1 / events.mean_length if events else 1.0
    if spec.tape is not None:  # its history holds all that chance would add
        for name in ("dispersion", "shock_sd", "xi_common"):
            record[name] = 0.0
    if spec.reference_price:
        record["reference_weight"] = spec.reference_price.weight
        record["reference_memory"] = spec.reference_price.memory
    return record


def compile_sellers(spec: MarketSpec) -> Record:
    """The sellers' parameters as (N,) records; reward scales are resolved here."""
    record = np.zeros(len(spec.sellers), SELLER)
    same = ("quality", "unit_cost", "order_cost", "holding_cost", "stockout_cost", "price_change_cost")
    for entry, seller, scale in zip(record, spec.sellers, reward_scales(spec), strict=True):
        for field in (*same, "lead_time", "stock", "first_price", "xi", "event_frequency"):
            entry[field] = getattr(seller, field)
        entry["price_low"], entry["price_high"] = seller.prices
        entry["level_low"], entry["level_high"] = seller.order_up_to
        entry["reward_scale"] = scale
        if seller.event_frequency and spec.events:
            odds = seller.event_frequency / (1 - seller.event_frequency)
            entry["event_start"] = odds / spec.events.mean_length
    if spec.tape is not None:
        record["xi"] = 0.0
    return record


def compile_script(spec: MarketSpec) -> Script:
    """What the spec settles of every place and period."""
    script = build_script(spec, spec.customers.rate * calendar(spec, np.arange(spec.horizon)))
    return script._replace(usual=usual_demand(spec)) if spec.forecasts else script


class MarketBatch:
    """M markets of one spec, stepped together.

    Args:
        spec: the market.
        markets: M, how many rows.
        seed: row m gets seed + m; or an array of M row seeds.
        scripts: what is settled of every place and period, in place of what ``spec`` says of it: of K scripts the first
            is that of the first M / K rows, and so on.

    Attributes:
        ledger: (M, N) records of the last period, fields and units in ``market.state.LEDGER_UNITS``.
        reward: (M, N) profit / reward scale of the last period.
        features: names, units and bounds of an observation's F numbers.

    Example::

        batch = MarketBatch(MarketSpec.load("configs/duopoly.yaml"), markets=256, seed=0)
        batch.reset()
        ledger = batch.step(price, quantity)   # both (M, N)
    """

    def __init__(self, spec: MarketSpec, markets: int = 1, seed: ArrayLike = 0, scripts: Sequence[Script] = ()) -> None:
        if markets < 1:
            raise UserError(f"markets: must be at least 1, got {markets}")
        self.spec, self.markets = spec, markets
        self.features = feature_list(spec)
        self._market, self._sellers = compile_market(spec), compile_sellers(spec)
        self._scripts = tuple(scripts) or (compile_script(spec),)
        self._seen_calendar = calendar_features(spec)
        self._recorded = recorded_prices(spec)
        self._compiled_features = compile_features(spec)
        self._allocate(markets, len(spec.sellers))
        self.serial = markets < PARALLEL_FROM or numba.get_num_threads() == 1
        low, high = self._compiled_features.low, self._compiled_features.high
        self.observation_space = spaces.Box(low.astype(np.float32), high.astype(np.float32))
        self._seed_rows(np.arange(markets), seed)

    def _allocate(self, m: int, n: int) -> None:
        horizon, slots = self.spec.horizon, self.spec.max_lead_time
        events = np.zeros((m, horizon + self.spec.announced + 1, n), np.int8)
        drawn = np.zeros((m, horizon)), np.zeros((m, horizon)), np.zeros((m, horizon, n))
        factor = known_calendar(self.spec, np.arange(horizon if self.spec.forecasts else 0))
        self.tape = Tape(*drawn, events, np.zeros(m, np.int64), np.zeros(m), np.zeros(m), factor)
        ints = np.zeros(m, np.uint64), np.full(m, -1, np.int64), np.full(m, horizon, np.int64)
        widths = (n, n, n, n, n, n if self.spec.prices_linger else 0, n if self.spec.forecasts else 0)
        self.state = State(*ints, np.zeros((m, n)), np.zeros((m, n, slots)), *(np.zeros((m, k)) for k in widths))
        wide = (0, 1, 1, 1, 0, 0, 1, 0, 0, 0)
        self._scratch = Scratch(np.zeros(m, np.uint64), np.zeros(m), *(np.zeros((m, n + extra)) for extra in wide))
        self.ledger: Record = np.zeros((m, n), LEDGER)
        self._observation = np.zeros((m, n, len(self.features)), np.float32)

    def _seed_rows(self, rows: Ints, seed: ArrayLike) -> None:
        seeds = np.asarray(seed)
        if seeds.dtype.kind not in "iu" or (seeds.dtype.kind == "i" and (seeds < 0).any()):
            raise UserError(f"seed: must be a whole number >= 0, got {seed!r}")
        if seeds.ndim == 0:
            seeds = seeds.astype(np.uint64) + rows.astype(np.uint64)
        elif seeds.shape != rows.shape:
            raise UserError(f"seed: needs one seed per row ({len(rows)}), got shape {seeds.shape}")
        self.state.seed[rows] = seeds
        self.state.episode[rows] = -1

    @property
    def reward(self) -> Floats:
        """(M, N) profit of the last period divided by each seat's reward scale."""
        return self.state.reward

    @property
    def reward_scale(self) -> Floats:
        """(N,) money that a reward of 1 stands for."""
        return np.array(self._sellers["reward_scale"])

    @property
    def truncated(self) -> NDArray[np.bool_]:
        """(M,) whether a row's episode is over."""
        return self.state.period >= self.spec.horizon

    @property
    def recorded(self) -> Floats | None:
        """(M, N) prices of the history's present period, the last on record; None in a market without a tape."""
        if self._recorded is None:
            return None
        return np.asarray(self._recorded[self.tape.place, np.minimum(self.state.period, self.spec.horizon - 1)])

    @property
    def on_order(self) -> Floats:
        """(M, N) units ordered and not yet received."""
        return np.asarray(self.state.pipeline.sum(2))

    def reset(self, seed: ArrayLike | None = None, rows: ArrayLike | None = None) -> None:
        """Begin the next episode of every row, or of ``rows``; with a seed, the first episode of that seed.

        ``rows`` are indices or a mask (M,), such as :attr:`truncated`.
        """
        which = np.arange(self.markets) if rows is None else self._rows(np.atleast_1d(np.asarray(rows)))
        if seed is not None:
            self._seed_rows(which, seed)
        begin: Any = loops.begin_serial if self.serial else loops.begin_parallel
        for script, rows_of_it in self._scripted(which):
            begin(self._market, self._sellers, script, self.tape, self.state, self._scratch, rows_of_it)

    def _scripted(self, rows: Ints) -> Iterator[tuple[Script, Ints]]:
        """Every script with those of ``rows`` that it is of."""
        each = self.markets // len(self._scripts)
        for k, script in enumerate(self._scripts):
            yield script, rows if len(self._scripts) == 1 else rows[rows // each == k]

    def _rows(self, rows: NDArray[Any]) -> Ints:
        if rows.dtype.kind == "b" and rows.shape == (self.markets,):
            return np.flatnonzero(rows)
        kinds = "iu" if rows.size else "iuf"  # an empty list is an array of floats
        if rows.dtype.kind not in kinds or rows.ndim != 1 or ((rows < 0) | (rows >= self.markets)).any():
            raise UserError(
                f"rows: must be indices from 0 to {self.markets - 1} or a mask of {self.markets}, got {rows!r}"
            )
        if len(np.unique(rows)) < len(rows):
            raise UserError(f"rows: must be different, got {rows!r}")
        return rows.astype(np.int64)

    def step(self, price: Floats, quantity: Floats) -> Record:
        """Play one period in every row.

        Args:
            price: (M, N) money per unit; kept inside each seat's range.
            quantity: (M, N) units to order, >= 0; rounded to whole units in sampled mode.

        Returns:
            The period's ledger, (M, N) records; overwritten by the next step.

        Raises:
            UserError: NaN or a wrong shape in a decision, or a row whose episode is over.
        """
        price, quantity = (np.ascontiguousarray(x, np.float64) for x in (price, quantity))
        self._check(price, quantity)
        play: Any = loops.step_serial if self.serial else loops.step_parallel
        play(self._market, self._sellers, self.tape, self.state, self._scratch, self.ledger, price, quantity)
        return self.ledger

    def _check(self, price: Floats, quantity: Floats) -> None:
        shape = (self.markets, len(self.spec.sellers))
        if price.shape != shape or quantity.shape != shape:
            raise UserError(
                f"decisions: price and order must have shape {shape}, got {price.shape} and {quantity.shape}"
            )
        for name, decision in (("price", price), ("order", quantity)):
            if not -HUGE <= decision.min() <= decision.max() <= HUGE:
                row, seat = np.argwhere(~(np.abs(decision) <= HUGE))[0]
                place = f"{name} of seller {self.spec.sellers[seat].name} (market {row})"
                raise UserError(f"{place}: must be a number up to {HUGE:g}, not {decision[row, seat]}")
        if self.state.period.max() >= self.spec.horizon:
            raise UserError(
                f"step: the episode of {self.spec.horizon} periods is over (or not begun): call reset first"
            )

    def observe(self) -> NDArray[np.float32]:
        """What every seat sees now: (M, N, F) float32, overwritten by the next call."""
        watch: Any = loops.observe_serial if self.serial else loops.observe_parallel
        watch(self._compiled_features, self._seen_calendar, self.tape, self.state, self._observation)
        return self._observation

    def save(self) -> dict[str, NDArray[Any]]:
        """Everything that the batch's future depends on, as copies."""
        return {name: array.copy() for name, array in self._arrays().items()}

    def load(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what :meth:`save` returned; raise :class:`UserError` when it is another market's."""
        places = min(len(script.factor) for script in self._scripts)
        if "place" not in saved and places == 1:  # saved before there were places
            saved = {**saved, "place": np.zeros(self.markets, np.int64)}
        for name, array in self._arrays().items():
            if name not in saved or saved[name].shape != array.shape:
                raise UserError(f"saved market: {name} does not fit {self.markets} markets of {self.spec.name}")
        for name, most in (("place", places - 1), ("period", self.spec.horizon)):
            if saved[name].min() < 0 or saved[name].max() > most:
                raise UserError(f"saved market: {name} must lie between 0 and {most}")
        for name, array in self._arrays().items():
            array[...] = saved[name]
        for script, rows in self._scripted(np.arange(self.markets)):
            for name, values in zip(OF_PLACE, script.taste.T, strict=False):
                getattr(self.tape, name)[rows] = values[self.tape.place[rows]]

    def _arrays(self) -> dict[str, NDArray[Any]]:
        """What is saved, by name; arrays that this market has no use for are left out."""
        arrays = self.state._asdict() | self.tape._asdict() | {"ledger": self.ledger}
        kept = (name for name, array in arrays.items() if name not in OF_PLACE and (array.size or name not in IF_USED))
        return {name: arrays[name] for name in kept}
