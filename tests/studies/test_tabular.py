"""Tabular sellers against a plain loop over the market, closed forms, and the bits of one another."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from market.errors import UserError
from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec
from market.theory.price_game import PriceGame, mean_payoffs
from policies.studies.calvano.tabular_q import TabularOptions, TabularSellers, first_values
from tests.helpers.markets import a_market

MADE = {"inventory": "make_to_order"}
FLUID = {"mode": "expected", "rate": 10}


def made(*prices: list[float], customers: dict[str, Any] | None = None, **changes: Any) -> MarketSpec:
    """A market made to order whose sellers choose among the prices given."""
    sellers = [{"order_up_to": [0, 0], "grid": {"prices": one}} for one in prices]
    return MarketSpec.parse(a_market(*sellers, customers=FLUID | (customers or {}), **(MADE | changes)))


TWO = made([1.5, 2.0], [1.5, 2.0], horizon=7)
RIVALRY = made([1.8, 2.2, 2.6, 3.0], [1.8, 2.2, 2.6, 3.0], horizon=7)  # the best price depends on the rival's
WILD = MarketSpec.parse(
    a_market(
        {"order_up_to": [0, 0], "grid": {"prices": [1.5, 2.0]}, "xi": 0.3, "price_change_cost": 0.4},
        {"order_up_to": [0, 0], "grid": {"prices": [1.2, 1.9, 2.5]}, "unit_cost": 0.8},
        {"order_up_to": [0, 0], "grid": {"prices": 2}, "start_price": 2.9},
        customers={"rate": 30, "dispersion": 0.2, "weekly": [1, 2], "shock": {"sd": 0.2, "persistence": 0.5}},
        horizon=11,
        **MADE,
    )
)
FAST = TabularOptions(alpha=0.2, beta=2e-3, delta=0.8, stable=300, longest=50_000)


# ------------------------------------------------------------------------------------ a plain loop says the same

BITS = 2**64


def mix(z: int) -> int:
    """splitmix64's finaliser in plain integers."""
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % BITS
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % BITS
    return z ^ (z >> 31)


GOLDEN = 0x9E3779B97F4A7C15


def uniforms(seed: int, count: int) -> np.ndarray[Any, Any]:
    """The exploration stream of a row: episode 0, period 0, purpose 3."""
    stream = mix(mix(mix((seed + GOLDEN) % BITS) ^ 3) ^ 1)
    return np.array([(mix((stream + k * GOLDEN) % BITS) >> 11) * 2.0**-53 for k in range(count)])


class Plain:
    """Q-learning as a textbook writes it, on the public MarketBatch."""

    def __init__(self, spec: MarketSpec, options: TabularOptions, seed: int, periods: int) -> None:
        self.game, self.options, self.seats = PriceGame.of(spec), options, range(len(spec.sellers))
        start = first_values(self.game, options.delta) if options.initial == "payoff" else np.zeros((9, 9))
        self.q = [np.tile(start[i, : self.game.counts[i]], (self.game.states, 1)) for i in self.seats]
        self.batch = MarketBatch(spec, 1, seed)
        self.batch.reset()
        self.u = uniforms(seed, periods * len(self.seats)).reshape(periods, -1)
        posted = [int(np.abs(g - s.first_price).argmin()) for g, s in zip(self.game.prices, spec.sellers, strict=True)]
        self.state, self.age, self.unchanged = self.number(posted), 0, 0

    def number(self, index: list[int]) -> int:
        state = 0
        for k, count in zip(index, self.game.counts, strict=True):
            state = state * int(count) + k
        return state

    def policy(self) -> list[list[int]]:
        return [q.argmax(axis=1).tolist() for q in self.q]

    def period(self) -> None:
        o, epsilon = self.options, math.exp(-self.options.beta * self.age)
        index = []
        for i in self.seats:
            u = self.u[self.age, i]
            index.append(int(u / epsilon * self.game.counts[i]) if u < epsilon else int(self.q[i][self.state].argmax()))
        if self.batch.truncated[0]:
            shelf = self.batch.state.price.copy()
            self.batch.reset()
            self.batch.state.price[:] = shelf
        price = np.array([[self.game.prices[i][a] for i, a in enumerate(index)]])
        profit = self.batch.step(price, np.zeros_like(price))["profit"][0].copy()
        following, before = self.number(index), self.policy()
        for i, a in enumerate(index):
            target = profit[i] + o.delta * self.q[i][following].max()
            self.q[i][self.state, a] = (1.0 - o.alpha) * self.q[i][self.state, a] + o.alpha * target
        self.state, self.age = following, self.age + 1
        self.unchanged = self.unchanged + 1 if self.policy() == before else 0


@pytest.mark.parametrize("initial", ["payoff", "zero"])
@pytest.mark.parametrize("spec", [RIVALRY, WILD], ids=["rivalry", "wild"])
def test_the_compiled_loop_is_the_textbooks_on_the_public_market_bit_for_bit(spec: MarketSpec, initial: str) -> None:
    options, periods = FAST.model_copy(update={"initial": initial, "stable": 10_000}), 1_500
    plain, sellers = Plain(spec, options, 7, periods), TabularSellers(spec, 1, options, 7)
    for _ in range(periods):
        plain.period()
    first = sellers.greedy.copy()
    sellers.run(periods)
    assert (sellers.greedy != first).any()
    for i in range(len(plain.q)):
        assert np.array_equal(sellers.tables.q[0, i, :, : plain.game.counts[i]], plain.q[i])
        assert sellers.greedy[0, i].tolist() == plain.policy()[i]
    assert (sellers.tables.state[0], sellers.tables.age[0]) == (plain.state, periods)
    assert sellers.tables.unchanged[0] == plain.unchanged


def test_a_session_ends_when_no_greedy_price_has_changed_for_the_given_time() -> None:
    sellers = TabularSellers(RIVALRY, 1, FAST, 3)
    sellers.run(FAST.longest)
    plain = Plain(RIVALRY, FAST, 3, int(sellers.tables.age[0]) + 1)
    while plain.unchanged < FAST.stable:
        plain.period()
    assert sellers.converged.all() and sellers.tables.age[0] == plain.age > 2 * FAST.stable
    sellers.run(1_000)
    assert sellers.tables.age[0] == plain.age


def test_a_session_that_never_settles_ends_at_its_longest() -> None:
    options = FAST.model_copy(update={"beta": 0.0, "longest": 2_000, "stable": 1_999})
    sellers = TabularSellers(RIVALRY, 2, options)
    sellers.run(10_000)
    assert sellers.tables.age.tolist() == [2_000, 2_000] and sellers.finished.all() and not sellers.converged.any()


# ------------------------------------------------------------------------------------ one update worked by hand


def test_one_update_by_hand() -> None:
    """Q(s, a) <- 0.8 Q(s, a) + 0.2 (profit + 0.8 max Q(s')), profit = (price - 1) 10 e^(2 - p) / (1 + sum e^(2 - p))."""
    sellers = TabularSellers(TWO, 1, FAST, 0)
    before, state = sellers.tables.q.copy(), int(sellers.tables.state[0])
    sellers.run(1)
    a, b = sellers.tables.action[0]
    p, r = TWO.sellers[0].grid.prices[a], TWO.sellers[1].grid.prices[b]  # type: ignore[union-attr, index]
    profit = (p - 1) * 10 * math.exp(2 - p) / (1 + math.exp(2 - p) + math.exp(2 - r))
    following = 2 * a + b
    value = 0.8 * before[0, 0, state, a] + 0.2 * (profit + 0.8 * before[0, 0, following].max())
    assert sellers.tables.q[0, 0, state, a] == pytest.approx(value, rel=1e-13)
    assert sellers.tables.state[0] == following
    changed = np.argwhere(sellers.tables.q[0, 0] != before[0, 0])
    assert changed.tolist() == [[state, a]]


def test_first_values_are_mean_payoffs_over_the_rivals_prices() -> None:
    game = PriceGame.of(TWO)
    share = {(p, r): math.exp(2 - p) / (1 + math.exp(2 - p) + math.exp(2 - r)) for p in (1.5, 2.0) for r in (1.5, 2.0)}
    for a, p in enumerate((1.5, 2.0)):
        mean = (p - 1) * 10 * (share[p, 1.5] + share[p, 2.0]) / 2
        assert first_values(game, 0.75)[:, a] == pytest.approx([4 * mean, 4 * mean], rel=1e-12)


def test_payoffs_of_a_random_market_are_its_fluid_means() -> None:
    """The sampled market's own mean profit, price-change cost apart, at three combinations of prices."""
    game = PriceGame.of(WILD)
    runs = np.array([mean_payoffs(WILD, game.prices, seed) for seed in range(40)])
    payoff, payoff_error = runs.mean(0), runs.std(0) / np.sqrt(40)
    assert payoff.shape == (12, 3)
    for state in (0, 5, 11):
        batch = MarketBatch(WILD, 4_000, 1_000)
        batch.reset()
        total = np.zeros((4_000, 3))
        for _ in range(WILD.horizon):
            ledger = batch.step(np.tile(game.posted(state), (4_000, 1)), np.zeros((4_000, 3)))
            total += (ledger["profit"] + ledger["price_change_cost"]) / WILD.horizon
        error = np.hypot(payoff_error[state], total.std(0) / np.sqrt(4_000))
        assert (np.abs(payoff[state] - total.mean(0)) <= 3.5 * error).all()
        assert (error < 0.004 * payoff[state].max()).all()


def test_alone_a_seller_finds_the_best_price_and_its_worth() -> None:
    """One seller's last price does not matter, so Q of the best price is its profit / (1 - delta) where it settles."""
    spec = made([1.2, 1.6, 2.0, 2.4, 2.8, 3.0])
    sellers = TabularSellers(spec, 3, FAST.model_copy(update={"stable": 2_000, "beta": 1e-3}))
    sellers.run(FAST.longest)
    best = int(sellers.game.payoff[:, 0].argmax())
    assert 0 < best < 5
    where = np.arange(3), 0, sellers.tables.state
    assert sellers.greedy[where].tolist() == [best] * 3 and sellers.tables.state.tolist() == [best] * 3
    assert sellers.tables.q[:, 0, best, best] == pytest.approx(sellers.game.payoff[best, 0] / 0.2, rel=1e-6)


# ------------------------------------------------------------------------------------ same seed, same bits


def run_all(spec: MarketSpec, sessions: int, seed: Any, chunk: int = 10_000, serial: bool = True) -> TabularSellers:
    sellers = TabularSellers(spec, sessions, FAST, seed)
    sellers.serial = serial
    while not sellers.finished.all():
        sellers.run(chunk)
    return sellers


def equal(one: TabularSellers, other: TabularSellers) -> bool:
    return all(
        np.array_equal(mine, theirs, equal_nan=mine.dtype.kind == "f")
        for mine, theirs in zip(one.tables, other.tables, strict=True)
    )


@pytest.mark.parametrize("spec", [RIVALRY, WILD], ids=["rivalry", "wild"])
def test_threads_and_chunks_change_no_bit(spec: MarketSpec) -> None:
    serial = run_all(spec, 5, 3)
    assert equal(serial, run_all(spec, 5, 3, serial=False))
    assert equal(serial, run_all(spec, 5, 3, chunk=77))
    assert not np.array_equal(serial.tables.q, run_all(spec, 5, 4).tables.q)


def test_a_session_of_many_is_that_session_alone() -> None:
    together = run_all(WILD, 4, 20)
    for m in range(4):
        alone = run_all(WILD, 1, 20 + m)
        for name, array in alone.tables._asdict().items():
            if name not in ("price", "actions", "stride"):
                assert np.array_equal(array[0], getattr(together.tables, name)[m])
    assert len({together.tables.age[m] for m in range(4)}) > 1


# ------------------------------------------------------------------------------------ the game on the grids


def test_states_count_the_last_sellers_price_fastest() -> None:
    game = PriceGame.of(WILD)
    assert (game.states, game.stride.tolist(), game.counts.tolist()) == (12, [6, 2, 1], [2, 3, 2])
    assert game.index([0, 1, 2, 11]).tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 2, 1]]
    assert game.posted(11).tolist() == [2.0, 2.5, 3.0]
    assert (game.index(np.arange(12)) @ game.stride).tolist() == list(range(12))


def test_nash_prices_gain_nothing_and_joint_prices_everything() -> None:
    from market.demand.equilibrium import monopoly_prices, nash_prices
    from market.demand.logit import Logit

    logit = Logit.of(TWO)
    low, high = nash_prices(logit)[0], monopoly_prices(logit)[0]
    wide = a_market(*[{"order_up_to": [0, 0], "prices": [1, 9], "grid": {"prices": [low, high]}}] * 2, customers=FLUID)
    game = PriceGame.of(MarketSpec.parse(wide | MADE))
    gain = game.gain(game.payoff)
    assert gain[0] == pytest.approx(0, abs=1e-9) and gain[3] == pytest.approx(1, abs=1e-9)
    assert gain[1] == pytest.approx(gain[2]) and 0 < gain[1] < 1


# ------------------------------------------------------------------------------------ what is refused


def refused(*sellers: dict[str, Any], **changes: Any) -> str:
    with pytest.raises(UserError) as problem:
        PriceGame.of(MarketSpec.parse(a_market(*sellers, **changes)))
    return str(problem.value)


def test_markets_where_tables_cannot_play_are_refused() -> None:
    seat = {"order_up_to": [0, 0]}
    assert "inventory: make_to_order" in refused({"grid": {"prices": 2}}, {"grid": {"prices": 2}})
    assert "market.sellers.1 (b).grid" in refused(seat | {"grid": {"prices": 2}}, seat, **MADE)
    hidden = {"visibility": {"rivals_prices": "hidden"}}
    assert "market.visibility.rivals_prices" in refused(*[seat | {"grid": {"prices": 2}}] * 2, **MADE, **hidden)
    assert "12 x 12 x 12 x 12 x 12 x 12 prices" in refused(
        *[seat | {"grid": {"prices": 12}}] * 6, **MADE
    )  # 215 million numbers
    assert "different prices" in refused(seat | {"grid": {"prices": [2, 2]}}, **MADE)


def test_sessions_that_do_not_fit_and_options_without_sense_are_refused() -> None:
    with pytest.raises(UserError, match="sessions: must be at least 1"):
        TabularSellers(TWO, 0)
    with pytest.raises(UserError, match="do not fit into memory"):
        TabularSellers(TWO, 100_000_000)
    for wrong in ({"alpha": 0}, {"delta": 1}, {"beta": -1}, {"initial": "one"}, {"stable": 0}, {"gamma": 1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            TabularOptions(**wrong)
