"""What networks are shown: the market's numbers on the scale of theory, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from market.simulation.observation import feature_list
from market.spec.models import MarketSpec
from market.theory.newsvendor import newsvendor_level
from policies.config.run import parse_run
from policies.learners.base import Learner
from policies.learners.build import make_learner
from policies.learners.default_decisions import with_decisions
from policies.learners.seat_theory import usual_observation
from tests.helpers.known_optima import MARKETS
from tests.helpers.markets import a_market


def by_name(spec: MarketSpec, seat: int = 0) -> dict[str, tuple[float, float]]:
    found = usual_observation(spec, seat)
    assert found is not None
    return dict(zip([feature.name for feature in feature_list(spec)], zip(*found, strict=True), strict=True))


def learner_in(market: dict[str, Any], learner: str = "dqn", start: str = "rules", **options: Any) -> Learner:
    data = {"market": market, "seats": {"shop": {"learner": learner} | options}, "training": {"start": start}}
    config = with_decisions(parse_run(data, "test"))
    return make_learner(config, 0, config.player(0), "cpu", 0)[0]


def shop(**changes: Any) -> dict[str, Any]:
    """The monopoly: cost 1, Nash price 2, newsvendor level 27."""
    market = dict(MARKETS["monopoly"])
    return market | {"sellers": [market["sellers"][0] | changes]}


def test_of_wide_ranges_units_are_of_theorys_level_and_prices_of_nash() -> None:
    """1.1 x 27 of a top of 120; Nash 2 in the range [1, 6] of middle 3.5, half of .6 in half of 5."""
    seen = by_name(MarketSpec.parse(shop(prices=[1, 6], order_up_to=[0, 120])))
    assert seen["own_on_hand"] == seen["own_sold"] == seen["own_lost"] == pytest.approx((0, 1.1 * 27 / 120))
    assert seen["own_price"] == pytest.approx(((2 - 3.5) / 2.5, 0.3 / 2.5), abs=1e-4)


def test_narrow_ranges_keep_their_width_and_what_is_neither_stays() -> None:
    market = shop(prices=[1.9, 2.3], order_up_to=[0, 25]) | {"customers": {"rate": 20, "weekly": [1, 2]}}
    seen = by_name(MarketSpec.parse(market))
    assert seen["own_on_hand"] == (0, 1) and seen["own_price"] == pytest.approx((-0.5, 1))
    assert seen["week_sin"] == seen["week_cos"] == (0, 1)


def test_a_rivals_price_is_on_the_scale_of_the_rival() -> None:
    spec = MarketSpec.parse(a_market({"quality": 4.0, "prices": [1, 9]}, {"holding_cost": 0.1}))
    seen, across = by_name(spec), by_name(spec, 1)
    assert seen["rival_1_price"] == across["own_price"] != seen["own_price"] == across["rival_1_price"]


def test_without_an_answer_of_theory_numbers_stay_as_they_are() -> None:
    captive = shop() | {"outside": "none"}
    assert usual_observation(MarketSpec.parse(captive), 0) is None


@pytest.mark.parametrize("learner", ["dqn", "a2c", "ddpg"])
def test_networks_bring_what_they_see_to_that_scale(learner: str) -> None:
    market = shop(prices=[1, 6], order_up_to=[0, 120])
    spec = MarketSpec.parse(market)
    level = newsvendor_level(spec, 0, np.array([2.0]))
    normalizer = learner_in(market, learner).network.normalizer
    assert normalizer is not None
    names = [feature.name for feature in feature_list(spec)]
    compiled = np.array([{"own_on_hand": level / 120, "own_price": (2.3 - 3.5) / 2.5}.get(name, 0) for name in names])
    shown = normalizer(normalizer.mean.new_tensor(compiled)).numpy()
    assert shown[names.index("own_on_hand")] == pytest.approx(1 / 1.1, abs=1e-4)
    assert shown[names.index("own_price")] == pytest.approx(1.0, abs=1e-3)


def test_a_stack_has_it_in_each_of_its_parts() -> None:
    one = learner_in(shop(order_up_to=[0, 120])).network.normalizer
    three = learner_in(shop(order_up_to=[0, 120]), stack=3).network.normalizer
    assert one is not None and three is not None
    assert np.array_equal(three.variance.numpy(), np.tile(one.variance.numpy(), 3))


def test_not_where_learning_begins_in_the_middle_and_not_beside_what_was_seen() -> None:
    market = shop(order_up_to=[0, 120], grid={"prices": 5, "levels": 5})
    assert learner_in(market, start="middle").network.normalizer is None
    seen = learner_in(market, normalize_observations=True).network.normalizer
    assert seen is not None and (seen.variance == 1).all()
