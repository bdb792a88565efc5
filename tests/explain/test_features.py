"""What a seller sees, in natural units: only what the seat is shown, and words that mean what the tree does."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.spec.models import MarketSpec
from policies.explain.features import StateFeature, natural_features, plain
from policies.explain.states import greedy_rollout
from tests.helpers.explained import (
    RICH,
    holds,
    network_seller,
)


@settings(max_examples=200)
@given(
    bounds=st.tuples(st.integers(0, 30), st.integers(0, 30)), value=st.integers(0, 40), open_end=st.sampled_from("lhn")
)
def test_words_of_whole_numbers_mean_what_the_tree_does(bounds: tuple[int, int], value: int, open_end: str) -> None:
    """low < value <= high, with thresholds at halves."""
    low, high = min(bounds) - 0.5, max(bounds) + 0.5
    low, high = (-math.inf if open_end == "l" else low), (math.inf if open_end == "h" else high)
    feature = StateFeature("units", np.array([float(value)]), whole=True)
    assert holds(feature.words(low, high), {"units": feature})[0] == (low < value <= high)


def test_words_of_flags_and_counts() -> None:
    flag = StateFeature(
        "rivals with a promotion now", np.array([0.0, 2.0]), True, "a rival's promotion now", "no promotion now"
    )
    assert flag.words(-math.inf, 0.5) == "no promotion now" and flag.words(0.5, math.inf) == "a rival's promotion now"
    assert flag.words(1.5, math.inf) == "rivals with a promotion now ≥ 2"
    price = StateFeature("lowest rival price", np.array([1.5]))
    assert price.words(-math.inf, 1.6234) == "lowest rival price < 1.623"
    assert price.words(1.5, 2.0) == "1.500 ≤ lowest rival price < 2.000"


@pytest.mark.parametrize(
    ("value", "text"), [(1.6234, "1.623"), (0.01234, "0.01234"), (12.346, "12.35"), (1234.5, "1,234"), (0.0, "0")]
)
def test_numbers_have_four_digits(value: float, text: str) -> None:
    assert plain(value) == text


def test_features_are_what_the_seat_is_shown() -> None:
    spec = MarketSpec.parse(RICH)
    met = greedy_rollout(spec, [network_seller(spec, k) for k in range(3)], episodes=8).states
    found = {one.name: one for one in natural_features(spec, met, 1)}
    assert np.array_equal(found["inventory position"].values, met.on_hand[:, 1] + met.pipeline[:, 1].sum(1))
    assert np.array_equal(found["lowest rival price"].values, np.minimum(met.price[:, 0], met.price[:, 2]))
    assert np.array_equal(found["own promotion next period"].values, met.event[:, 1, 1])
    assert np.array_equal(found["rivals with a promotion in 2 periods"].values, met.event[:, 2, [0, 2]].sum(1))
    assert found["period of the cycle of 3 (from 1)"].values.tolist()[:9] == [1.0] * 8 + [2.0]
    hidden = spec.model_copy(update={"visibility": spec.visibility.model_copy(update={"rivals_prices": "hidden"})})
    assert not [
        one.name for one in natural_features(hidden, met, 1) if "rival price" in one.name or "last price of" in one.name
    ]
