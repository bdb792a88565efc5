"""Equilibrium prices when sellers cannot leave their price ranges, against brute force over grids of prices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.demand.equilibrium import prices_in_range, prices_of, reward_scales
from market.demand.logit import Logit, profits
from market.spec.models import MarketSpec
from policies.config.run import Evaluation
from policies.evaluation.profit_gain import ProfitGain
from policies.sellers.rules.base import Seat
from policies.sellers.rules.compose import compose, parse_rules

WIDE = [0.5, 6.0]


def duopoly(left: list[float], right: list[float], **market: Any) -> MarketSpec:
    base = {"quality": 4.0, "unit_cost": 1.0}
    given_scale = market.pop("reward_scale", {})
    sellers = [{"name": name, "prices": one} | base | given_scale for name, one in (("left", left), ("right", right))]
    data = {"horizon": 10, "inventory": "make_to_order", "price_sensitivity": 2.0, "customers": {"rate": 20}}
    return MarketSpec.parse(data | market | {"sellers": sellers})


def written_out(own: Any, other: Any) -> Any:
    """Profit a period of a seller of :func:`duopoly`, by the logit formula."""
    mine, others = np.exp(4.0 - 2.0 * own), np.exp(4.0 - 2.0 * other)
    return 20 * (own - 1.0) * mine / (1.0 + mine + others)


def test_a_bounded_seller_is_answered() -> None:
    """The unbounded price of both, 1.7995, is no answer to 1.2: on a fine grid that is 1.664."""
    spec = duopoly([1.0, 1.2], WIDE)
    left, right = prices_in_range(spec)
    grid = np.linspace(1.0, 3.0, 20_001)
    assert left == 1.2 and right == pytest.approx(grid[np.argmax(written_out(grid, 1.2))], abs=1e-4)
    assert right == pytest.approx(1.6644, abs=1e-4)
    inside = np.linspace(1.0, 1.2, 2001)
    assert inside[np.argmax(written_out(inside, right))] == pytest.approx(1.2)
    assert prices_of(spec) == pytest.approx([1.79947, 1.79947], abs=1e-5)


def test_joint_profit_inside_the_ranges_by_a_grid_of_both_prices() -> None:
    spec = duopoly(WIDE, [1.0, 1.5])
    grid, low = np.linspace(1.0, 3.0, 2001)[:, None], np.linspace(1.0, 1.5, 501)[None]
    at = np.unravel_index(np.argmax(written_out(grid, low) + written_out(low, grid)), (2001, 501))
    assert prices_in_range(spec, joint=True) == pytest.approx([grid[at[0], 0], low[0, at[1]]], abs=2e-3)


ranges = st.tuples(st.floats(0.5, 2.5), st.floats(0.0, 1.0)).map(lambda at: [at[0], at[0] + at[1]])
SCALE = {"reward_scale": 1.0}


@settings(max_examples=40, deadline=None)
@given(
    left=ranges,
    right=ranges,
    market=st.sampled_from([{}, {"nest": 0.4}, {"price_form": "log", "price_sensitivity": 3.0}]),
)
def test_nobody_gains_inside_its_range(left: list[float], right: list[float], market: dict[str, Any]) -> None:
    spec = duopoly(left, right, reward_scale=SCALE, **market)
    logit = Logit.of(spec)
    nash, joint = prices_in_range(spec), prices_in_range(spec, joint=True)
    for seat, (low, high) in enumerate((left, right)):
        assert low <= nash[seat] <= high and low <= joint[seat] <= high
        for price, together in ((nash, False), (joint, True)):
            tried = np.repeat(price[None], 301, axis=0)
            tried[:, seat] = np.linspace(low, high, 301)
            earned, here = (x if together else x[..., [seat]] for x in (profits(logit, tried), profits(logit, price)))
            assert earned.sum(axis=-1).max() <= here.sum() + 1e-9 * (1 + abs(here.sum()))


@pytest.mark.parametrize("joint", [False, True])
def test_where_no_range_binds_nothing_changes_to_the_bit(joint: bool) -> None:
    spec = duopoly(WIDE, WIDE)
    assert prices_in_range(spec, joint) is prices_of(spec, joint)


def test_rules_reward_scales_and_profit_gain_take_the_prices_inside_the_ranges() -> None:
    spec = duopoly([1.0, 1.2], WIDE)
    nash = prices_in_range(spec)
    assert [compose(parse_rules("nash"), spec, seat).usual_price for seat in (0, 1)] == nash.tolist()
    assert Seat(spec, 1).joint[1] == prices_in_range(spec, joint=True)[1] != prices_of(spec, joint=True)[1]
    np.testing.assert_allclose(reward_scales(spec), [written_out(*nash), written_out(*nash[::-1])], rtol=1e-12)
    assert ProfitGain(spec, Evaluation(warm_up=0)).price["nash"].tolist() == nash.tolist()
