"""The observed demand forecast: by hand, exact where demand is regular, and kept with the rest of the market."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.demand.script import known_calendar
from market.errors import UserError
from market.kernel.inventory import SMOOTHING
from market.simulation.batch import MarketBatch
from market.simulation.observation import feature_list, forecast_windows, usual_demand
from market.spec.models import MarketSpec
from policies.explain.features import natural_features
from policies.explain.importance import groups
from policies.explain.policy_map import typical_state
from policies.explain.states import greedy_rollout, views
from policies.sellers.network_seller import ObservationAdapter
from policies.sellers.rules.level_search import build
from policies.sellers.rules.replenishment import Forecast
from tests.helpers.markets import a_market, begun, play
from tests.helpers.story import STORY, in_parallel

SEEN = {"observe": ["demand_forecast"]}
FLUID: dict[str, Any] = {"rate": 20.0, "mode": "expected"}


def forecast(batch: MarketBatch, seat: int = 0) -> float:
    """Row 0's feature in units."""
    k = [f.name for f in batch.features].index("own_demand_forecast")
    return float(batch.observe()[0, seat, k]) * batch.spec.sellers[seat].order_up_to[1]


# ------------------------------------------------------------------------------------------------ the numbers


def test_three_periods_by_hand() -> None:
    """Half of 20 customers buy at 2: 10 a period at a factor of 1. Factors 1, 3, 1, 3, ..; lead time 1, so 4 ahead."""
    batch = begun({"stock": 5.0, "lead_time": 1, "prices": [0.5, 3.5]}, customers=FLUID | {"weekly": [1, 3]}, **SEEN)
    assert batch.state.smoothed.item() == pytest.approx(10, rel=1e-12)
    assert forecast(batch) == pytest.approx(40, rel=1e-6)
    play(batch, 2 - math.log(3), 12.0)  # 3 of 4 buy, 15: 5 in stock and 10 lost
    assert batch.state.smoothed.item() == pytest.approx(10 + 0.2 * (15 - 10), rel=1e-12)
    assert forecast(batch) == pytest.approx(11 * 4, rel=1e-6)
    play(batch, 2.0, 0.0)  # 30 want it in the busy period, which is 10 at a factor of 1
    assert batch.state.smoothed.item() == pytest.approx(11 + 0.2 * (10 - 11), rel=1e-12)
    play(batch, 2 + math.log(3), 0.0)  # 1 of 4 buys: 5
    assert batch.state.smoothed.item() == pytest.approx(10.8 + 0.2 * (5 - 10.8), rel=1e-12)
    assert forecast(batch) == pytest.approx(9.64 * 4, rel=1e-6)


@pytest.mark.parametrize("lead_time", [0, 1, 4])
def test_regular_demand_is_forecast_to_the_unit(lead_time: int) -> None:
    """The error falls to 0.8 of itself a period; what is left is the demand of the periods ahead."""
    season = {"weekly": [0.5, 1, 2], "yearly": {"amplitude": 0.4, "length": 20, "peak": 3}, "trend": 0.004}
    seller = {"lead_time": lead_time, "stock": 900.0, "order_up_to": [0, 900]}
    batch = begun(seller, horizon=70, customers=FLUID | season, **SEEN)
    demanded, forecasts = [], []
    for _ in range(70):
        forecasts.append(forecast(batch))
        ledger = play(batch, 1.5, 100.0)
        demanded.append((ledger["sold"] + ledger["lost"]).item())
    true, begun_at = 20 / (1 + math.exp(-0.5)), 10.0
    for t in range(70 - lead_time):
        ahead = sum(demanded[t : t + lead_time + 1])
        error = (begun_at - true) / true * 0.8**t
        assert forecasts[t] == pytest.approx(ahead * (1 + error), rel=1e-5)


def test_the_calendar_goes_on_beyond_the_horizon() -> None:
    spec = MarketSpec.parse(a_market({"lead_time": 2}, {}, horizon=3, customers={"weekly": [1, 3]}))
    assert forecast_windows(spec).tolist() == [[5, 1], [7, 3], [5, 1], [7, 3]]


def test_a_period_that_the_calendar_leaves_empty_tells_nothing() -> None:
    batch = begun({"stock": 900.0}, customers=FLUID | {"weekly": [1, 0]}, **SEEN)
    play(batch, 1.0)
    before = batch.state.smoothed.item()
    assert before > 10 and forecast(batch) == 0
    play(batch, 1.0)
    assert batch.state.smoothed.item() == before


def test_surges_are_no_part_of_what_is_known() -> None:
    surge = {"start": 0, "length": 2, "factor": 3.0}
    batch = begun({"stock": 900.0}, customers=FLUID | {"surges": [surge], "weekly": [1, 2]}, **SEEN)
    assert known_calendar(batch.spec, [0, 1, 2]).tolist() == [1, 2, 1]
    play(batch, 2.0)
    assert batch.state.smoothed.item() == pytest.approx(10 + 0.2 * (30 - 10))


def test_it_begins_at_what_theory_expects_at_the_first_prices() -> None:
    spec = MarketSpec.parse(a_market({}, {}, customers={"basket": 2, "weekly": [1, 9]}))
    assert usual_demand(spec) == pytest.approx(np.array([[40 / 3, 40 / 3]]))
    dear = MarketSpec.parse(a_market({"start_price": 3.0}, {}))
    odds = math.exp(-1)
    assert usual_demand(dear) == pytest.approx(np.array([[20 * odds / (2 + odds), 20 / (2 + odds)]]))
    batch = begun({}, {}, markets=3, **SEEN)
    play(batch, 1.0)
    batch.reset(rows=[1])
    assert batch.state.smoothed[1] == pytest.approx([20 / 3, 20 / 3])
    assert (batch.state.smoothed[0] != batch.state.smoothed[1]).any()


def test_a_location_begins_at_its_own_demand() -> None:
    """Sizes 1 and 4, qualities 2 and 2 + ln 3 at a price of 2: 20 / 2 and 80 x 3 / 4."""
    places = [{"name": "n", "quality": [2]}, {"name": "s", "size": 4.0, "quality": [2 + math.log(3)]}]
    batch = begun({"order_up_to": [0, 100]}, markets=30, customers=FLUID, locations=places, **SEEN)
    assert set(batch.tape.place.tolist()) == {0, 1}
    assert batch.state.smoothed[:, 0] == pytest.approx(np.where(batch.tape.place == 0, 10, 60))
    for _ in range(3):
        play(batch, 2.0, 90.0)
    assert batch.state.smoothed[:, 0] == pytest.approx(np.where(batch.tape.place == 0, 10, 60))


def test_a_season_of_utility_is_learned_as_demand_comes() -> None:
    """Utility ln 3, then -ln 3, at a price of 2: 3 / 4 and 1 / 4 of 20 buy, 10 on average."""
    batch = begun({"order_up_to": [0, 100]}, customers=FLUID, season=[math.log(3), -math.log(3)], horizon=4, **SEEN)
    assert [batch.state.smoothed.item()] == pytest.approx([10])
    play(batch, 2.0, 90.0)
    assert batch.state.smoothed.item() == pytest.approx(10 + 0.2 * (15 - 10))
    play(batch, 2.0, 90.0)
    assert batch.state.smoothed.item() == pytest.approx(11 + 0.2 * (5 - 11))
    assert forecast(batch) == pytest.approx(9.8, rel=1e-6)


HISTORY = """market,period,seller,price,units,market_size
x,1,a,2,40,80
x,2,a,2,20,40
y,1,a,2.5,90,360
y,2,a,2,120,480
"""


def test_a_history_has_no_calendar_but_its_own_customers(tmp_path: Path) -> None:
    """Mean sizes 60 and 420, half of which buy at 2; then 40 and 90 units are sold, whatever the calendar says."""
    (tmp_path / "sales.csv").write_text(HISTORY)
    batch = begun(
        {"order_up_to": [0, 900], "stock": 900.0, "lead_time": 1},
        markets=30,
        horizon=2,
        customers={"rate": 7.0, "mode": "expected", "weekly": [1, 3], "surges": [{"start": 0, "factor": 2.0}]},
        season=[0.5, -0.5],
        tape={"file": str(tmp_path / "sales.csv")},
        **SEEN,
    )
    x = batch.tape.place == 0
    assert x.any() and not x.all()
    column = [f.name for f in batch.features].index("own_demand_forecast")
    assert batch.state.smoothed[:, 0] == pytest.approx(np.where(x, 30, 210))
    assert batch.observe()[:, 0, column] * 900 == pytest.approx(np.where(x, 60, 420), rel=1e-5)
    assert batch.recorded is not None
    batch.step(batch.recorded, np.zeros((30, 1)))
    assert batch.state.smoothed[:, 0] == pytest.approx(np.where(x, 30 + 0.2 * (40 - 30), 210 + 0.2 * (90 - 210)))
    assert forecast_windows(batch.spec).tolist() == [[2.0]] * 3


def test_the_weight_is_that_of_the_forecast_rule() -> None:
    assert Forecast().smoothing == SMOOTHING


def test_made_to_order_it_forecasts_sales() -> None:
    batch = begun({"order_up_to": [0, 0]}, inventory="make_to_order", customers=FLUID, **SEEN)
    assert [f.name for f in batch.features] == ["own_price", "own_sold", "own_demand_forecast"]
    assert batch.observe()[0, 0, 2] == pytest.approx(1.0)  # 10 of the 10 that stand for one seller's part


def test_the_bound_has_room_for_all_periods_ahead() -> None:
    batch = begun({"lead_time": 2, "order_up_to": [0, 1]}, customers=FLUID, **SEEN)
    (feature,) = (f for f in batch.features if f.name == "own_demand_forecast")
    assert (feature.low, feature.high) == (0, 12)
    assert forecast(batch) == 12  # of 30 units that three periods bring


# ------------------------------------------------------------------------------------------------ bits


def story(markets: int, seed: Any = 40) -> MarketBatch:
    """The market of the batch's own tests, with everything that is random in it."""
    sellers = [{"xi": 0.3, "lead_time": k, "stock": 8, "event_frequency": 0.3} for k in range(3)]
    return begun(*sellers, markets=markets, seed=seed, **(STORY | SEEN))


PRICES = st.lists(st.lists(st.floats(1, 3), min_size=3, max_size=3), min_size=6, max_size=6)


@given(PRICES, st.integers(0, 2**40))
@settings(max_examples=15, deadline=None)
def test_a_row_of_a_batch_is_the_single_market(prices: list[list[float]], seed: int) -> None:
    batch, last = in_parallel(story(7, seed)), story(1, seed + 6)
    for price in prices:
        assert play(batch, price, 3.0)[6].tobytes() == play(last, price, 3.0)[0].tobytes()
        assert batch.observe()[6].tobytes() == last.observe()[0].tobytes()
    assert batch.state.smoothed[6].tobytes() == last.state.smoothed[0].tobytes()


def test_a_saved_market_goes_on_to_the_same_bits() -> None:
    batch, other = story(4), story(4, seed=9)
    play(batch, [1.1, 2.9, 2.0], 3.0)
    saved = batch.save()
    other.load(saved)
    for price in ([2.0, 2.0, 1.5], [1.0, 3.0, 2.0]):
        assert play(batch, price, 2.0).tobytes() == play(other, price, 2.0).tobytes()
        assert batch.observe().tobytes() == other.observe().tobytes()
    del saved["smoothed"]
    with pytest.raises(UserError, match="smoothed does not fit 4 markets"):
        other.load(saved)


def test_it_changes_nothing_but_what_is_seen() -> None:
    batch = story(4)
    plain = MarketBatch(batch.spec.model_copy(update={"observe": ()}), 4, 40)
    plain.reset()
    column = [f.name for f in batch.features].index("own_demand_forecast")
    assert plain.state.smoothed.size == plain.tape.factor.size == 0
    assert not {"smoothed", "factor"} & set(plain.save())
    for price in (1.2, 2.9):
        assert play(batch, price, 5).tobytes() == play(plain, price, 5).tobytes()
        assert np.delete(batch.observe(), column, axis=2).tobytes() == plain.observe().tobytes()


# ------------------------------------------------------------------------------------------------ around it


def test_what_policies_are_asked_is_what_they_saw() -> None:
    spec = story(1).spec
    met = greedy_rollout(spec, [build("random+base_stock(level=6)", spec, k) for k in range(3)], episodes=3).states
    (view,) = [view.observation.copy() for _, view in views(spec, met, 2)]
    k = [f.name for f in feature_list(spec)].index("own_demand_forecast")
    (told,) = (f for f in natural_features(spec, met, 2) if f.name.startswith("forecast of demand"))
    assert np.ptp(told.values) > 0
    assert view[:, k] * spec.sellers[2].order_up_to[1] == pytest.approx(told.values, rel=1e-5)
    assert typical_state(met).smoothed.shape == (1, 3)


def test_it_is_a_group_of_its_own_and_neutral_where_it_is_not_shown() -> None:
    shown, hidden = (MarketSpec.parse(a_market({}, **changes)) for changes in (SEEN, {}))
    assert "forecast of own demand" in groups(shown, 0)
    adapter = ObservationAdapter.between(shown, 0, hidden, 0)
    seen = adapter.see(np.full((1, len(feature_list(hidden))), 0.5, np.float32))[0]
    assert seen[[f.name for f in feature_list(shown)].index("own_demand_forecast")] == 0


@pytest.mark.parametrize(
    ("observe", "said"),
    [
        (["demand_forcast"], "market.observe.0: must be 'demand_forecast'"),
        ("demand_forecast", "market.observe: must be a list"),
        (["demand_forecast"] * 2, "observe must name different features, got demand_forecast, demand_forecast"),
    ],
)
def test_what_cannot_be_observed_is_refused(observe: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        MarketSpec.parse(a_market({}, observe=observe))


def test_the_key_survives_yaml() -> None:
    spec = MarketSpec.parse(a_market({}, **SEEN))
    assert MarketSpec.parse(spec.dump()) == spec and spec.forecasts
