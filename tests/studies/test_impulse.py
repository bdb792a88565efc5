"""Impulse responses against what rules are known to do: nothing else may differ between the two markets."""

from __future__ import annotations

import numpy as np
import pytest

from market.errors import UserError
from market.spec.models import MarketSpec
from market.state import Floats
from policies.sellers.protocol import Memory, Seller, View
from policies.sellers.rollout import play
from policies.sellers.rules.level_search import build
from policies.studies.deviate.impulse import WATCHED, ForcedDecision, Impulse, impulse
from tests.helpers.small_run import ROOT

CALVANO = MarketSpec.load(ROOT / "configs" / "calvano.yaml")
DUOPOLY = MarketSpec.load(ROOT / "configs" / "duopoly.yaml")


def respond(spec: MarketSpec, rules: str, rival: str, deviation: str, at: int = 5, **given: int) -> Impulse:
    sellers = [build(rules, spec, 0), build(rival, spec, 1)]
    settings = {"periods": 15, "markets": 8, "seed": 3} | given
    return impulse(spec, sellers, 0, ForcedDecision(build(deviation, spec, 0)), at=at, **settings)


def test_rivals_that_look_at_nothing_do_not_react() -> None:
    found = respond(CALVANO, "constant(price=1.9)", "constant(price=1.8)", "constant(price=1.5)")
    assert found.change("price")[0, :, 0] == pytest.approx(np.full(8, -0.4))
    assert (found.change("price")[1:] == 0).all() and (found.change("price")[:, :, 1] == 0).all()
    assert found.relative_price()[0, 0, 0] == pytest.approx(-0.4 / 1.9)


def test_a_trigger_punishes_for_exactly_as_long_as_it_says() -> None:
    found = respond(CALVANO, "collusive", "trigger(periods=4)", "constant(price=1.5)")
    rival = found.change("price")[:, 0, 1]
    nash, joint = 1.4729, 1.9250
    assert rival == pytest.approx([0.0] + [nash - joint] * 4 + [0.0] * 11, abs=1e-4)
    deviator = found.change("profit")[:, 0, 0]
    assert deviator[0] > 0 and (deviator[1:5] < 0).all() and (deviator[5:] == 0).all()


def test_the_twin_is_the_market_without_the_deviation() -> None:
    sellers = [build("nash+base_stock", DUOPOLY, 0), build("undercut+base_stock", DUOPOLY, 1)]
    deviation = ForcedDecision(build("constant(price=1.2)", DUOPOLY, 0))
    found = impulse(DUOPOLY, sellers, 0, deviation, at=7, periods=10, markets=4, seed=11)
    undisturbed = play(DUOPOLY, sellers, markets=4, seed=11)
    for name in ("price", "ordered", "sold", "lost", "profit"):
        assert (found.twin[name] == undisturbed[name][7:18]).all()


def test_what_is_played_off_the_policy_is_remembered_by_those_who_watch_and_not_by_the_deviator() -> None:
    """The deviator's trigger goes on as if it had cooperated; the rival's trigger has seen the cut."""
    found = respond(CALVANO, "trigger(periods=3)", "trigger(periods=3)", "constant(price=1.5)")
    assert (found.change("price")[1, :, 1] < 0).all()
    assert (found.change("price")[1, :, 0] == 0).all()


def test_orders_change_only_where_they_are_asked_for() -> None:
    sellers = [build("nash+base_stock", DUOPOLY, 0), build("nash+base_stock", DUOPOLY, 1)]
    other = build("nash+constant_order(quantity=20)", DUOPOLY, 0)
    settings = {"at": 7, "periods": 3, "markets": 4, "seed": 0}
    without = impulse(DUOPOLY, sellers, 0, ForcedDecision(other), **settings)
    ordered = impulse(DUOPOLY, sellers, 0, ForcedDecision(other, orders=True), **settings)
    assert (without.change("ordered") == 0).all() and (without.change("price") == 0).all()
    assert (ordered.deviated["ordered"][0, :, 0] == 20).all()


def test_the_market_with_the_deviation_is_one_where_the_seller_simply_did_so() -> None:
    """Independent of the twins' common past: the whole episode played again by a seller that deviates on its own."""
    sellers = [build("match+base_stock", DUOPOLY, 0), build("undercut+forecast", DUOPOLY, 1)]
    cut = build("constant(price=1.2)", DUOPOLY, 0)
    found = impulse(DUOPOLY, sellers, 0, ForcedDecision(cut), at=7, periods=10, markets=4, seed=11)
    again = play(DUOPOLY, [Once(sellers[0], 7, 1.2), sellers[1]], markets=4, seed=11)
    for name in WATCHED:
        assert (found.deviated[name] == again[name][7:18]).all()
    before = play(DUOPOLY, sellers, markets=4, seed=11)[:7]
    assert (again[:7] == before).all()


class Once:
    """Posts ``price`` in one period, else what ``seller`` posts."""

    def __init__(self, seller: Seller, at: int, price: float) -> None:
        self.seller, self.at, self.price = seller, at, price

    def start(self, markets: int) -> Memory:
        return self.seller.start(markets)

    def act(self, view: View, memory: Memory) -> tuple[Floats, Floats, Memory]:
        price, order, memory = self.seller.act(view, memory)
        return np.where(view.period == self.at, self.price, price), order, memory


def test_rules_to_deviate_to_know_what_they_would_have_seen() -> None:
    """A rival cut its price in period 4: a trigger that looked on is punishing it in period 6, a fresh one is not."""
    rival = Once(build("collusive", CALVANO, 1), 4, 1.5)
    sellers = [build("collusive", CALVANO, 0), rival]
    deviation = ForcedDecision(build("trigger", CALVANO, 0))
    found = impulse(CALVANO, sellers, 0, deviation, at=6, periods=1, markets=2, seed=0)
    assert found.deviated["price"][0, :, 0] == pytest.approx(1.4729, abs=1e-4)
    assert (found.change("price")[1] == 0).all()


def test_demand_does_not_change_where_prices_do_not_matter() -> None:
    """Same tape: a rival at the same price meets the same customers once the shelves are full again."""
    sellers = [build("constant(price=2.9)+base_stock(level=40)", DUOPOLY, k) for k in range(2)]
    same = ForcedDecision(build("constant(price=2.9)", DUOPOLY, 0))
    found = impulse(DUOPOLY, sellers, 0, same, at=9, periods=12, markets=8, seed=1)
    assert all((found.change(name) == 0).all() for name in WATCHED)


@pytest.mark.parametrize("at", [-1, 85, 100])
def test_a_deviation_too_near_the_end_is_refused(at: int) -> None:
    with pytest.raises(UserError, match="do not fit an episode"):
        respond(CALVANO, "nash", "nash", "collusive", at=at)
