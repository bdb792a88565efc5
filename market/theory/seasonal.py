"""Order-up-to levels that follow what is known ahead: the calendar, the season and announced events.

Dimensions: M markets side by side, N sellers, W = lead time + 1 periods, A periods that events are announced ahead,
B values of what is not known.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import pdtr

from market.demand.logit import Logit, choices
from market.demand.script import known_calendar
from market.spec.models import MarketSpec
from market.state import Floats, Ints
from market.theory.newsvendor import newsvendor_level, service_level, window_means

NODES = 128  # of the average over xi: shares are off by 1e-5
UNKNOWN = 64  # B


def knows_ahead(spec: MarketSpec) -> bool:
    """Whether a seller knows that demand of some periods differs from that of others."""
    customers = spec.customers
    calendar = len(set(customers.weekly)) > 1 or bool(customers.trend)
    calendar = calendar or (customers.yearly is not None and customers.yearly.amplitude > 0)
    happens = spec.tape is not None or any(seller.event_frequency > 0 for seller in spec.sellers)
    events = spec.events is not None and spec.events.effect != 0 and happens
    return events or (spec.tape is None and (calendar or len(set(spec.season)) > 1))


@dataclass(frozen=True, eq=False)
class SeasonalLevels:
    """A seat's newsvendor levels by date and announced events, at prices held for good.

    The level is the quantile at the newsvendor's critical ratio of Poisson demand over the W periods ahead. Its mean is
    what is known, ``sum_k f(t + k) s(t + k, events)`` with the calendar's factor ``f`` and the mean share ``s`` of all
    customers in that phase of the season and with those events, times what is not known: the spread ``unknown`` (B,) of
    mean 1 that ``xi``, the market shock, ``G``, surges and locations give demand of W periods, taken to be the same at all
    times. Of periods beyond those announced, the last events known fade to the usual mix as ``decay^k`` (for one
    seller with events that is exact).

    Weekly factors 1 and 3, lead time 0, a mean of 4 at a factor of 1, ratio .8: the quantiles of Poisson 4 and 12, 6 and
    15 in turn.
    """

    spec: MarketSpec
    seat: int
    price: Floats
    ratio: float
    crowd: float
    logit: Logit
    usual: Logit
    decay: float
    unknown: Floats
    _share: dict[bytes, float] = field(default_factory=dict)
    _level: dict[float, float] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: MarketSpec, seat: int, price: ArrayLike) -> SeasonalLevels:
        """At posted prices (N,). Raises :class:`UserError` as :func:`market.theory.newsvendor.newsvendor_level` does."""
        posted, seller = np.asarray(price, dtype=np.float64), spec.sellers[seat]
        newsvendor_level(spec, seat, posted)
        ratio = service_level(float(posted[seat]), seller.unit_cost, seller.holding_cost, seller.stockout_cost)
        dateless = spec.customers.model_copy(update={"weekly": (), "yearly": None, "trend": 0.0})
        still = spec.model_copy(update={"customers": dateless, "season": ()})
        silent = [one.model_copy(update={"event_frequency": 0.0}) for one in spec.sellers]
        quiet = still.model_copy(update={"sellers": tuple(silent), "events": None})
        hidden = spec.events is not None and spec.announced < seller.lead_time
        means = np.sort(window_means(still if hidden else quiet, seat, posted, seller.lead_time + 1))
        unknown = means.reshape(UNKNOWN, -1).mean(axis=1) / means.mean()
        logit, usual = Logit.of(quiet, limit=NODES), Logit.of(still, events=True, limit=NODES)
        length = spec.events.mean_length if spec.events else 1.0
        decay = max(0.0, 1.0 - 1.0 / (length * (1.0 - seller.event_frequency)))
        crowd = logit.size / spec.customers.basket
        return cls(spec, seat, posted, ratio, crowd, logit, usual, decay, unknown)

    def levels(self, period: ArrayLike, event: ArrayLike | None = None) -> Floats:
        """Levels (M,), units, at ``period`` (M,) with events announced (M, A + 1, N), sellers in seat order."""
        known = None if self.spec.events is None or event is None else np.asarray(event, np.int8)
        return self._quantiles(self._means(np.asarray(period, dtype=np.int64), known))

    def _means(self, start: Ints, event: NDArray[np.int8] | None) -> Floats:
        """Mean baskets (M,) of the windows that begin at ``start``."""
        total = np.zeros(len(start))
        for k in range(self.spec.sellers[self.seat].lead_time + 1):
            total = total + known_calendar(self.spec, start + k) * self._shares(start + k, k, event)
        return self.crowd * total

    def _shares(self, when: Ints, k: int, event: NDArray[np.int8] | None) -> Floats:
        """The mean shares of customers (M,) k periods ahead, at the times ``when``."""
        seasons = self.spec.season if self.spec.tape is None else ()
        phase = when % max(len(seasons), 1)
        if event is None:
            return self._looked_up(phase, None)
        last = min(k, event.shape[1] - 1)
        sure = self.decay ** (k - last)
        seen = self._looked_up(phase, event[:, last])
        return seen if sure == 1.0 else sure * seen + (1.0 - sure) * self._looked_up(phase, None)

    def _looked_up(self, phase: Ints, event: NDArray[np.int8] | None) -> Floats:
        """Each row's share, worked out once for each phase and set of events (M, N), or the usual mix of them."""
        rows = np.ascontiguousarray(np.column_stack([phase] if event is None else [phase, event]), np.int32)
        keys = rows.view(f"V{rows[0].nbytes}").ravel().tolist()
        for at, key in enumerate(keys):
            if key not in self._share:
                self._share[key] = self._share_of(int(phase[at]), None if event is None else event[at])
        return np.array([self._share[key] for key in keys])

    def _share_of(self, phase: int, event: NDArray[np.int8] | None) -> float:
        """At a phase of the season, with these events (N,), or with the usual mix of them."""
        season = self.spec.season[phase] if self.spec.season and self.spec.tape is None else 0.0
        logit = self.usual if event is None else self.logit
        effect = self.spec.events.effect if self.spec.events else 0.0
        added = season + (0.0 if event is None else effect * event)
        chosen = choices(replace(logit, nodes=logit.nodes + added), self.price)[0][:, self.seat]
        return float(logit.weights @ chosen)

    @np.errstate(under="ignore")
    def _quantiles(self, mean: Floats) -> Floats:
        """Levels, units, of windows with these means (K,), in baskets."""
        basket = self.spec.customers.basket
        if self.ratio <= 0:
            return np.zeros(len(mean))
        if self.spec.customers.mode == "expected":
            return mean * float(np.quantile(self.unknown, self.ratio, method="inverted_cdf")) * basket
        fresh = np.array([one for one in dict.fromkeys(mean.tolist()) if one not in self._level])
        if len(fresh):
            self._level.update(
                zip(fresh.tolist(), _poisson_quantiles(fresh, self.unknown, self.ratio).tolist(), strict=True)
            )
        return np.array([self._level[one] for one in mean.tolist()]) * basket


def _poisson_quantiles(mean: Floats, unknown: Floats, q: float) -> Floats:
    """The least n (K,) with ``mean_b P(Poisson(mean unknown_b) <= n) >= q``, by bisection for all K at once."""
    means = mean[:, None] * unknown
    low, high = np.full(len(mean), -1.0), means.max(axis=1) + 1.0
    while (short := pdtr(np.floor(high)[:, None], means).mean(axis=1) < q).any():
        high = np.where(short, 2 * high + 1, high)
    high = np.floor(high)
    while (high - low > 1).any():
        middle = np.maximum(np.floor((low + high) / 2), 0.0)
        below = pdtr(middle[:, None], means).mean(axis=1) < q
        open_ = high - low > 1
        low, high = np.where(open_ & below, middle, low), np.where(open_ & ~below, middle, high)
    return np.asarray(high)


def seasonal_levels(spec: MarketSpec, seat: int, price: ArrayLike) -> SeasonalLevels | float:
    """The seat's levels by date and events; the newsvendor level, units, where nothing is known ahead."""
    if not knows_ahead(spec):
        return newsvendor_level(spec, seat, price)
    return SeasonalLevels.of(spec, seat, price)
