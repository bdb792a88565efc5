"""Impulse responses against what rules are known to do: nothing else may differ between the two markets."""

from __future__ import annotations

import numpy as np
import pytest
from small_run import ROOT

from market.errors import Refusal
from market.spec import MarketSpec
from policies.impulse import Deviation, Impulse, impulse
from policies.search import build
from policies.simulate import play

CALVANO = MarketSpec.load(ROOT / "configs" / "calvano.yaml")
DUOPOLY = MarketSpec.load(ROOT / "configs" / "duopoly.yaml")


def respond(spec: MarketSpec, rules: str, rival: str, deviation: str, at: int = 5, **given: int) -> Impulse:
    sellers = [build(rules, spec, 0), build(rival, spec, 1)]
    settings = {"periods": 15, "markets": 8, "seed": 3} | given
    return impulse(spec, sellers, 0, Deviation(build(deviation, spec, 0)), at=at, **settings)


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
    deviation = Deviation(build("constant(price=1.2)", DUOPOLY, 0))
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
    other = build("nash+constant_order(quantity=40)", DUOPOLY, 0)
    settings = {"at": 7, "periods": 3, "markets": 4, "seed": 0}
    without = impulse(DUOPOLY, sellers, 0, Deviation(other), **settings)
    ordered = impulse(DUOPOLY, sellers, 0, Deviation(other, orders=True), **settings)
    assert (without.change("ordered") == 0).all() and (without.change("price") == 0).all()
    assert (ordered.deviated["ordered"][0, :, 0] == 40).all()


@pytest.mark.parametrize("at", [-1, 85, 100])
def test_a_deviation_too_near_the_end_is_refused(at: int) -> None:
    with pytest.raises(Refusal, match="do not fit an episode"):
        respond(CALVANO, "nash", "nash", "collusive", at=at)
