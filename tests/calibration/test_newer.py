"""Newer sales beside a market: which are new, whether the market sells them, what moved, and the market that they are of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, chi2

pytest.importorskip("pyblp", reason="the extra calibrate is not installed")

from market.calibration.newer.market import refitted
from market.calibration.newer.newest import newest_fit, scored
from market.calibration.newer.periods import NewerSales, newer_sales
from market.calibration.newer.refit import refit
from market.errors import UserError
from market.salesfile.table import Sales, read_sales
from market.spec.models import MarketSpec
from tests.helpers.recorded import NAMES, known_market, record, write

PLAIN: dict[str, Any] = {"nest": 0.0, "events": None, "horizon": 80, "customers": {"rate": 1000}}


def known(**changes: Any) -> MarketSpec:
    data = known_market(**PLAIN | changes)
    if data["events"] is None:
        data["sellers"] = [one | {"event_frequency": 0.0} for one in data["sellers"]]
    return MarketSpec.parse(data)


def sold(folder: Path, spec: MarketSpec, seed: int, **changes: Any) -> Sales:
    """Sales of a market, as of a file."""
    return read_sales(write(record(spec, 1, seed, **changes), folder))


# ------------------------------------------------------------------------------------------------ which are new


def weeks(count: int, first: str = "2024-01-01") -> Sales:
    dates = pd.date_range(first, periods=count, freq="7D")
    rows = pd.DataFrame({"period": np.repeat(np.arange(count), 3), "seller": np.tile(NAMES, count)})
    rows = rows.assign(market="all", price=2.0, units=10.0, line=1)
    return Sales(rows, [f"{one:%Y-%m-%d}" for one in dates], dates, "week", Path("x.csv"), "1" * 64)


def of(first: str, last: str, **changes: Any) -> MarketSpec:
    origin = {"file": "old.csv", "sha256": "0" * 64, "first": first, "last": last}
    return known(estimated_from=origin, **changes)


def test_what_was_sold_after_the_market_was_estimated_is_new() -> None:
    found = newer_sales(of("2024-01-01", "2024-02-05"), weeks(30))
    assert (found.new, found.held, found.phase) == (6, 24, 0)  # a quarter of 24 is held out
    assert found.said(found.new, found.held) == "2024-02-12 to 2024-06-10"
    assert newer_sales(of("2024-01-01", "2024-02-05"), weeks(30), hold_out=9).held == 21


def test_a_market_written_by_hand_has_seen_nothing() -> None:
    found = newer_sales(known(), weeks(20))
    assert (found.new, found.held, found.phase) == (0, 15, 0)


def test_the_calendar_begins_where_the_markets_file_began() -> None:
    assert newer_sales(of("2023-12-04", "2024-01-08"), weeks(30)).phase == 4
    assert newer_sales(of("2023-12-04", "2024-01-10"), weeks(30)).new == 2  # between two of the file's
    assert newer_sales(of("2024-01-15", "2024-01-22"), weeks(30)).phase == -2
    assert newer_sales(of("week 3", "week 9"), weeks(30)).phase == 0


@pytest.mark.parametrize(
    ("spec", "count", "message"),
    [
        (
            of("2024-01-01", "2024-05-06"),
            30,
            "holds 11 weeks after 2024-05-06, up to which the market was estimated: 12 are needed",
        ),
        (known(outside="none"), 30, "market.outside: none: where everyone buys"),
        (known(), 11, "holds 11 weeks: 12 are needed at least, and more than the 4 held out"),
        (
            known(sellers=known_market()["sellers"][:2], events={"effect": 0.6, "mean_length": 2.0}),
            30,
            "has cat besides",
        ),
    ],
)
def test_too_little_and_other_sellers_are_refused(spec: MarketSpec, count: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        newer_sales(spec, weeks(count))


def test_places_that_the_market_does_not_have_are_refused() -> None:
    places = [{"name": "north", "quality": [0.0, 0.0, 0.0]}]
    with pytest.raises(UserError, match="market all is none of the market's locations, north"):
        newer_sales(known(locations=places), weeks(30))
    with pytest.raises(UserError, match="lacks bee, cat"):
        few = weeks(30)
        newer_sales(
            known(), Sales(few.rows[few.rows["seller"] == "ant"], few.labels, few.dates, "week", few.path, "1" * 64)
        )


# ------------------------------------------------------------------------------------------------ does the market sell them


def test_p_is_the_share_of_draws_as_far_out() -> None:
    p, z = scored(np.array([3.0]), np.array([[-1.0], [1.0], [-1.0], [1.0]]))
    assert p == 0.2 and z == pytest.approx([3 / np.std([-1, 1, -1, 1], ddof=1)])
    chance = np.random.default_rng(0)
    mixed = np.array([[2.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, -1.0, 3.0]])
    drawn, own = chance.standard_normal((20_000, 3)) @ mixed.T, mixed @ np.array([1.0, -1.5, 0.5])
    far = own @ np.linalg.solve(mixed @ mixed.T, own)
    assert scored(own, drawn)[0] == pytest.approx(chi2.sf(far, 3), abs=0.01)  # normal sums: Wald's chi-squared


def test_a_sum_that_never_varies_tells_nothing() -> None:
    drawn = np.column_stack([np.array([-1.0, 1.0, -1.0, 1.0]), np.zeros(4)])
    p, z = scored(np.array([0.0, 0.0]), drawn)
    assert p == 1.0 and z.tolist() == [0.0, 0.0]


def test_the_market_itself_is_refused_as_often_as_said(tmp_path: Path) -> None:
    """Small counts, shocks that last: p is below a quarter in a quarter of files of the market's own."""
    spec, runs, level = known(customers={"rate": 40}, horizon=16), 60, 0.25
    ps = [newest_fit(spec, newer_sales(spec, sold(tmp_path, spec, seed), hold_out=8)).p for seed in range(runs)]
    refused = sum(p < level for p in ps)
    assert binom.ppf(0.005, runs, level) <= refused <= binom.ppf(0.995, runs, level), sorted(ps)


def test_other_customers_are_told_apart(tmp_path: Path) -> None:
    spec = known()
    right = newest_fit(spec, newer_sales(spec, sold(tmp_path, spec, 1)))
    assert right.holds and abs(right.slope) < 3
    assert right.units == pytest.approx(right.expected, rel=0.2)
    dearer = known(price_sensitivity=3.5)
    wrong = newest_fit(spec, newer_sales(spec, sold(tmp_path, dearer, 1)))
    assert not wrong.holds and wrong.p < 0.001 and all(z < -2 for z in wrong.z.values())


def test_what_the_estimate_leaves_open_counts(tmp_path: Path) -> None:
    """A market that is half a unit of utility off is refused, and one that says that it may be is not."""
    truth, off = known(), [one | {"quality": one["quality"] - 0.5} for one in known().dump()["sellers"]]
    newer = newer_sales(truth, sold(tmp_path, truth, 2))
    sure = known(sellers=off)
    draws = [{"price_sensitivity": 2.5, "quality": [one] * 3} for one in np.linspace(-0.8, 0.8, 17).tolist()]
    unsure = known(sellers=off, draws=draws)
    assert not newest_fit(sure, newer).holds and newest_fit(unsure, newer).holds


def test_expected_units_are_those_of_the_logit_in_the_periods_place_of_the_calendar(tmp_path: Path) -> None:
    """By hand: 1000 customers of 3 units, halved every other period, a season of utility; no shocks; the newest period alone."""
    sellers = [one | {"xi": 0.0, "event_frequency": 0.0} for one in known_market()["sellers"]]
    calendar = {"customers": {"rate": 1000, "basket": 3, "weekly": [1.0, 0.5]}, "season": [0.3, -0.3, 0.1, 0.0]}
    spec = known(sellers=sellers, demand_shock={}, **calendar)
    sales = sold(tmp_path, spec, 3)
    sales = Sales(**_without_size(sales))
    price = sales.rows[sales.rows["period"] == 79]["price"].to_numpy()
    for phase in (0, 1):
        found = newest_fit(spec, NewerSales(sales, phase, 0, 79))
        place = 79 + phase
        weight = np.exp(np.array([-1.2, -0.9, -1.5]) - 2.5 * np.log(price) + spec.season[place % 4])
        units = 3000 * (1.0, 0.5)[place % 2] * weight / (1 + weight.sum())
        assert [found.expected[name] for name in NAMES] == pytest.approx(units, rel=0.01)


def _without_size(sales: Sales) -> dict[str, Any]:
    return vars(sales) | {"rows": sales.rows.drop(columns="market_size")}


# ------------------------------------------------------------------------------------------------ what moved


def test_a_parameter_that_moved_is_named_and_the_others_are_not(tmp_path: Path) -> None:
    spec, dearer = known(), known(price_sensitivity=3.5)
    still = refit(spec, newer_sales(spec, sold(tmp_path, spec, 4)))
    assert still.moved == [] and still.first == 0 and not still.resized
    assert [one.name for one in still.changes] == ["price sensitivity", *(f"quality of {name}" for name in NAMES)]
    moved = refit(spec, newer_sales(spec, sold(tmp_path, dearer, 4)))
    assert [one.name for one in moved.moved] == ["price sensitivity"]
    assert moved.changes[0].now.value == pytest.approx(3.5, abs=2 * moved.changes[0].now.error)
    assert moved.far == pytest.approx(2.4977, abs=1e-4)  # Phi(1 - .05 / 8)


def test_a_file_to_date_is_used_whole_where_nothing_moved_and_from_its_new_periods_where_something_did(
    tmp_path: Path,
) -> None:
    before, after = known(), known(price_sensitivity=3.5)
    for then, first in ((before, 0), (after, 80)):
        frames = [record(before, 1, 5), record(then, 1, 6).assign(period=lambda one: one["period"] + 80)]
        sales = read_sales(write(pd.concat(frames), tmp_path))
        origin = {"file": "x.csv", "sha256": "0" * 64, "first": "0", "last": "79"}
        spec = known(estimated_from=origin)
        newer = newer_sales(spec, sales)
        assert (newer.new, newer.held) == (80, 140)
        found = refit(spec, newer)
        assert found.first == first and len(found.found.sales.labels) == 140 - first
        assert bool(found.remarks) is bool(first)
        assert refitted(spec, found).estimated_from == spec.estimated_from.model_copy(  # type: ignore[union-attr]
            update={"file": "sales.csv", "sha256": sales.sha256, "last": "139"}
        )


def test_the_new_market_has_the_new_demand_and_keeps_all_else(tmp_path: Path) -> None:
    held = {
        "order_up_to": [0, 900],
        "holding_cost": 0.1,
        "lead_time": 2,
        "stock": 50,
        "grid": {"prices": 3, "levels": 4},
    }
    data = known_market(**PLAIN) | {"inventory": "stocked", "outside": -1.0}
    data["sellers"] = [
        one | held | {"event_frequency": 0.0, "quality": one["quality"] - 1.0} for one in data["sellers"]
    ]
    spec, truth = MarketSpec.parse(data), known(price_sensitivity=3.5)
    found = refitted(spec, refit(spec, newer_sales(spec, sold(tmp_path, truth, 4))))
    assert found.price_sensitivity == pytest.approx(3.5, abs=0.3) and found.outside == 0.0
    for own, was, true in zip(found.sellers, spec.sellers, truth.sellers, strict=True):
        kept = own.model_copy(update={key: getattr(was, key) for key in ("quality", "xi", "prices_on_file")})
        assert kept == was
        assert own.quality == pytest.approx(true.quality, abs=0.4)
        assert own.prices_on_file is not None and own.prices_on_file[0] >= 1.0
    assert len(found.draws) == 39 and found.customers.rate == 1000
    assert np.mean([draw.price_sensitivity for draw in found.draws]) == pytest.approx(found.price_sensitivity, abs=0.2)


def test_a_season_stays_in_step_with_the_markets_calendar(tmp_path: Path) -> None:
    season = [0.6, 0.0, -0.6, 0.0]
    spec = known(
        season=season, estimated_from={"file": "x.csv", "sha256": "0" * 64, "first": "2023-12-04", "last": "2023-12-18"}
    )
    shifted = known(season=season[1:] + season[:1])  # the file begins five weeks later
    frame = record(shifted, 1, 7)
    frame["period"] = (pd.Timestamp("2024-01-08") + pd.to_timedelta(7 * frame["period"], unit="D")).dt.strftime(
        "%Y-%m-%d"
    )
    newer = newer_sales(spec, read_sales(write(frame, tmp_path)))
    assert newer.phase == 5 and newest_fit(spec, newer).holds
    found = refit(spec, newer)
    assert found.moved == []
    assert refitted(spec, found).season == pytest.approx(season, abs=0.15)


def test_more_sales_than_customers_say_that_there_are_more(tmp_path: Path) -> None:
    small, truth = known(customers={"rate": 150}), known(customers={"rate": 1500})
    sales = sold(tmp_path, truth, 8)
    sales = Sales(**_without_size(sales))
    found = refit(small, newer_sales(small, sales))
    assert found.resized and found.changes == found.moved == [] and "no parameter can be compared" in found.remarks[0]
    totals = sales.rows.groupby("period")["units"].sum()
    assert refitted(small, found).customers.rate == pytest.approx(1.5 * totals[:60].max())


def test_too_few_new_periods_are_estimated_from_with_all_others(tmp_path: Path) -> None:
    sales = sold(tmp_path, known(), 4)
    origin = {"file": "x.csv", "sha256": "0" * 64, "first": "0", "last": "49"}
    found = refit(known(), newer_sales(known(estimated_from=origin), sales, hold_out=10))
    assert found.changes == [] and found.first == 0 and len(found.found.sales.labels) == 70
    assert found.remarks == ("20 new periods are too few to be estimated from alone (26 are needed)",)


def test_a_history_that_was_replayed_goes_with_its_market(tmp_path: Path) -> None:
    spec = known(tape={"file": str(tmp_path / "old.csv")})
    assert refitted(spec, refit(spec, newer_sales(spec, sold(tmp_path, known(), 4)))).tape is None


@pytest.mark.parametrize(("first", "end"), [(6, 24), (24, 30)])
def test_a_seller_that_has_left_makes_another_market(first: int, end: int) -> None:
    sales = weeks(30)
    rows = sales.rows[(sales.rows["seller"] != "bee") | (sales.rows["period"] < first) | (sales.rows["period"] >= end)]
    with pytest.raises(
        UserError, match=f"bee: no row from {sales.labels[first]} to {sales.labels[end - 1]}: a seller that has left"
    ):
        newer_sales(
            of("2024-01-01", "2024-02-05"), Sales(rows, sales.labels, sales.dates, "week", sales.path, "1" * 64)
        )
