"""Replaying a sales file: Berry's inversion, the promise that history's prices give history's sales, and refusals."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from market.demand.history import NOT_OFFERED, pinned, replay
from market.errors import UserError
from market.salesfile.table import Sales, read_sales
from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec
from policies.config.run import read_config
from tests.helpers.markets import a_market, play
from tests.helpers.replayed import MADE, OWN, TWO_BY_TWO, replayed, written

ROOT = Path(__file__).parents[2]


def play_history(spec: MarketSpec, markets: int = 60, seed: int = 0) -> tuple[MarketBatch, np.ndarray]:
    """Every seller posts its price on record: the batch at its end and units sold (M, T, N)."""
    batch, sold = MarketBatch(spec, markets, seed), []
    batch.reset()
    for _ in range(spec.horizon):
        assert batch.recorded is not None
        sold.append(batch.step(batch.recorded, np.zeros_like(batch.recorded))["sold"].copy())
    return batch, np.stack(sold, axis=1)


# ------------------------------------------------------------------------------------------ the inversion


def test_the_inversion_by_hand(tmp_path: Path) -> None:
    """x, 1: a has 50, b 25 of 100 and nobody buys 25: utilities ln 2 and 0, qualities 2, prices 2 and 2.5."""
    found = replay(replayed(written(tmp_path)))
    assert found.markets == ["x", "y"]
    np.testing.assert_allclose(found.utility[0, 0], [math.log(2) - (2 - 2), 0 - (2 - 2.5)], atol=1e-14)
    np.testing.assert_allclose(found.utility[0, 1], [math.log(10 / 90) - (2 - 1.5), NOT_OFFERED])
    np.testing.assert_allclose(found.utility[1, 0], [math.log(20 / 80) - (2 - 3), NOT_OFFERED])
    assert (found.customers == 100).all() and found.event.shape == (2, 0, 2)
    np.testing.assert_array_equal(found.price, [[[2, 2.5], [1.5, 2.5]], [[3, 1], [3.5, 1]]])


def test_the_nested_inversion_by_hand(tmp_path: Path) -> None:
    """rho 1/2, outside 1, log price with alpha 3: u = ln s - ln s_0 - ln(s_g) / 2 + 1; b has a third of the buyers."""
    spec = replayed(written(tmp_path), nest=0.5, outside=1.0, price_form="log", price_sensitivity=3.0)
    b = math.log(25 / 25) - 0.5 * math.log(1 / 3) + 1 - (2 - 3 * math.log(2.5))
    assert replay(spec).utility[0, 0, 1] == pytest.approx(b, abs=1e-14)


def test_the_reference_prices_are_taken_off_by_hand(tmp_path: Path) -> None:
    """a posts 2, 1.5 in x and 3, 3.5 in y after a first price of 2, weight 2, memory 0.75: r is 2, 2 and 2, 2.25."""
    path = written(tmp_path)
    plain = replay(replayed(path, {"start_price": 2}, {})).utility[:, :, 0]
    term = {"reference_price": {"weight": 2, "memory": 0.75}}
    found = replay(replayed(path, {"start_price": 2}, {}, **term)).utility[:, :, 0]
    np.testing.assert_allclose(plain - found, 2 * np.array([[2 - 2, 2 - 1.5], [2 - 3, 2.25 - 3.5]]), atol=1e-14)


def test_who_departs_from_historys_prices_pays_by_the_reference(tmp_path: Path) -> None:
    """A price higher by 0.5 costs (1 + 2) / 2 of utility at once, and the old price is then worth 2 (0.5 / 4) more."""
    term = {"reference_price": {"weight": 2, "memory": 0.75}}
    text = "period,seller,price,units\n1,a,2,50\n2,a,2,50\n"
    batch = MarketBatch(replayed(written(tmp_path, text), {}, **term))
    batch.reset()
    once = play(batch, 2.5)["sold"].item()
    assert math.log(once / (100 - once)) == pytest.approx(-1.5)
    after = play(batch, 2.0)["sold"].item()
    assert math.log(after / (100 - after)) == pytest.approx(0.25)


def test_promotions_are_events_from_a_half_on_and_their_effect_is_taken_off(tmp_path: Path) -> None:
    path = written(tmp_path)
    spec = replayed(path, events={"effect": 0.7, "mean_length": 2, "announced": 1})
    plain, found = replay(replayed(path)), replay(spec)
    assert found.event[0].tolist() == [[0, 1], [1, 0]] and found.event[1].tolist() == [[0, 0], [0, 0]]
    np.testing.assert_allclose(found.utility[0, 0], plain.utility[0, 0] - [0, 0.7])
    batch = MarketBatch(spec, 40)
    batch.reset()
    x = batch.tape.place == 0
    assert x.any() and (batch.tape.event[x] == [[0, 1], [1, 0], [0, 0], [0, 0]]).all()
    assert (batch.tape.event[~x] == 0).all()


def test_under_every_draw_historys_prices_give_its_sales(tmp_path: Path) -> None:
    """Shocks are recovered anew at each draw's price sensitivity and nest; another price then sells differently."""
    draws = [{"price_sensitivity": a, "nest": rho, "quality": [0.3, 0.0]} for a, rho in ((0.5, 0.0), (2.0, 0.4))]
    spec = replayed(written(tmp_path), draws=draws, uncertainty="on")
    batch = MarketBatch(spec, 60)
    batch.reset()
    at = batch.tape.place
    assert set(at.tolist()) == {0, 1, 2, 3}
    posted = batch.recorded
    assert posted is not None
    sold = batch.step(posted, np.zeros((60, 2)))["sold"].copy()
    np.testing.assert_allclose(sold, np.array([[50, 25], [20, 0]])[at % 2], rtol=1e-12)
    dearer = batch.step(1.2 * np.asarray(batch.recorded), np.zeros((60, 2)))["sold"]
    assert (dearer[at == 0][0, 0] > dearer[at == 2][0, 0]) and dearer[at == 0][0, 0] < 10


def test_events_beyond_the_horizon_are_announced_from_the_file(tmp_path: Path) -> None:
    spec = replayed(written(tmp_path), horizon=1, events={"effect": 0.7, "mean_length": 2, "announced": 2})
    batch = MarketBatch(spec, 40)
    batch.reset()
    assert (batch.tape.event[batch.tape.place == 0] == [[0, 1], [1, 0], [0, 0], [0, 0]]).all()


def test_a_file_without_markets_is_one_place_and_its_sizes_are_used(tmp_path: Path) -> None:
    text = "period,seller,price,units,market_size\n1,a,2,50,200\n2,a,2,50,100\n"
    spec = replayed(written(tmp_path, text), {}, customers={"rate": 7, "mode": "expected", "basket": 4})
    found = replay(spec)
    assert found.customers.tolist() == [[50, 25]]
    np.testing.assert_allclose(found.utility[0, :, 0], [math.log(1 / 3), 0], atol=1e-14)


def test_locations_size_the_histories_they_are_named_after(tmp_path: Path) -> None:
    places = [{"name": "y", "size": 3.0, "quality": [9, 9]}, {"name": "x", "size": 1.0, "quality": [1, 1]}]
    spec = replayed(written(tmp_path), locations=places)
    assert replay(spec).customers.tolist() == [[100, 100], [300, 300]]
    batch, sold = play_history(spec)
    at = [feature.name for feature in batch.features].index("location_size")
    batch.reset()
    np.testing.assert_allclose(batch.observe()[:, 0, at], np.where(batch.tape.place == 0, -1, 1), atol=1e-6)
    assert {tuple(row) for row in sold[:, 0].round(9).tolist()} == {(50, 25), (20, 0)}


# ------------------------------------------------------------------------------------------ the promise


@st.composite
def histories(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, float]:
    """Prices and units (P, T, N), a negative price where there is no row, and a market size."""
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    price = rng.uniform(0.6, 4.9, shape)
    units = rng.choice([0.0, 1.0, 7.0, 1000.0], shape, p=[0.1, 0.3, 0.3, 0.3]) * rng.uniform(0.5, 1.0, shape)
    gone = rng.random(shape) < draw(st.sampled_from([0.0, 0.3]))
    gone[0, :, 0] = gone[:, -1, :] = False  # the file knows only of markets and periods that have a row
    room = draw(st.sampled_from([1.02, 1.5, 30.0]))
    return np.where(gone, -1.0, price), np.where(gone, 0.0, units), max(1.0, float(units.sum(-1).max())) * room


def as_text(price: np.ndarray, units: np.ndarray) -> str:
    lines = ["market,period,seller,price,units,promo_x"]
    for p, t, k in np.argwhere(price > 0):
        promoted = (p + t + k) % 3 == 0
        cells = (float(price[p, t, k]), float(units[p, t, k]), int(promoted))
        lines.append(f"m{p},{t + 1},{'abcd'[k]}," + ",".join(map(repr, cells)))
    return "\n".join(lines) + "\n"


@settings(max_examples=60, deadline=None)
@given(
    histories(),
    st.sampled_from([0.0, 0.3, 0.8]),
    st.sampled_from(["linear", "log"]),
    st.sampled_from([0.0, 2.5]),
    st.sampled_from([None, {"effect": 1.5, "mean_length": 3}]),
    st.sampled_from([1.0, 3.5]),
    st.sampled_from([None, {"weight": 1.2, "memory": 0.7}, {"weight": 3.0, "memory": 0.0}]),
)
def test_historys_prices_give_historys_sales(
    history: tuple[np.ndarray, np.ndarray, float],
    nest: float,
    form: str,
    outside: float,
    events: dict[str, Any] | None,
    basket: float,
    reference: dict[str, Any] | None,
) -> None:
    price, units, size = history
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), as_text(price, units))
        spec = replayed(
            path,
            *({"quality": 0.5 * k, "xi": 0.3} for k in range(price.shape[2])),
            horizon=price.shape[1],
            nest=nest,
            price_form=form,
            outside=outside,
            customers={"rate": size / basket, "basket": basket, "mode": "expected", "weekly": [0.5, 1.5]},
            season=[0.5, -0.5],
            **({"events": events} if events else {}),
            **({"reference_price": reference} if reference else {}),
        )
        batch, sold = play_history(spec, markets=20)
    want = units[batch.tape.place]
    np.testing.assert_allclose(sold, want, rtol=1e-9, atol=0)
    assert (sold[want == 0] == 0).all()


def test_sampled_customers_buy_historys_sales_on_average(tmp_path: Path) -> None:
    spec = replayed(written(tmp_path), customers={"rate": 100, "dispersion": 0.5, "shock": {"sd": 0.4}})
    batch, sold = play_history(spec, markets=6000)
    units = np.array([[[50, 25], [10, 0]], [[20, 0], [30, 40]]])
    for p in (0, 1):
        rows = sold[batch.tape.place == p]
        assert (np.abs(rows.mean(axis=0) - units[p]) <= 4 * np.sqrt(units[p] / len(rows))).all()
        np.testing.assert_allclose(rows.var(axis=0), units[p], rtol=0.1)  # Poisson: history is all there is of chance


def test_with_ample_stock_nothing_changes(tmp_path: Path) -> None:
    spec = replayed(written(tmp_path), {"order_up_to": [0, 900]}, {"order_up_to": [0, 900]}, inventory="stocked")
    batch = MarketBatch(spec, 20)
    batch.reset()
    ledger = batch.step(batch.recorded, np.full((20, 2), 500.0))
    np.testing.assert_allclose(ledger["sold"], np.where(batch.tape.place[:, None] == 0, [50, 25], [20, 0]), rtol=1e-9)


def test_a_row_of_a_batch_is_the_single_replay_and_saving_keeps_it(tmp_path: Path) -> None:
    spec = replayed(written(tmp_path), customers={"rate": 100})
    batch, sold = play_history(spec, markets=12, seed=7)
    assert set(batch.tape.place.tolist()) == {0, 1}
    for m in range(12):
        single, alone = play_history(spec, 1, 7 + m)
        assert alone[0].tobytes() == sold[m].tobytes() and single.tape.xi[0].tobytes() == batch.tape.xi[m].tobytes()
    batch.reset()
    other = MarketBatch(spec, 12, 99)
    other.load(batch.save())
    assert play(other).tobytes() == play(batch).tobytes()
    assert (other.recorded == batch.recorded).all()


@pytest.mark.parametrize("more", [{}, {"reference_price": {"weight": 1.5, "memory": 0.8}}])
def test_the_orange_juice_stores_replay(more: dict[str, Any]) -> None:
    path = ROOT.parent / "shared" / "data" / "oj_dominicks_3brand_store_week.csv"
    if not path.exists():
        pytest.skip("the orange-juice file is not on this machine")
    names = ("tropicana", "minute.maid", "dominicks")
    columns = {"market": "store", "period": "week", "seller": "brand", "promo_feature": "feat"}
    spec = MarketSpec.parse(
        a_market(
            *({"name": name, "order_up_to": [0, 0], "prices": [0.3, 5]} for name in names),
            horizon=100,
            inventory="make_to_order",
            price_form="log",
            price_sensitivity=2.3,
            nest=0.16,
            customers={"rate": 40_000, "mode": "expected"},
            events={"effect": 0.5, "mean_length": 1},
            tape={"file": str(path), "columns": columns},
            **more,
        )
    )
    import pandas as pd

    rows = pd.read_csv(path)
    weeks = {week: t for t, week in enumerate(range(int(rows.week.min()), int(rows.week.max()) + 1))}
    batch, sold = play_history(spec, markets=300)
    markets = np.array(replay(spec).markets)[batch.tape.place]
    want = np.zeros((len(set(rows.store)), len(weeks), 3))
    stores = {str(store): k for k, store in enumerate(sorted(set(rows.store)))}
    for store, week, brand, units in zip(rows.store, rows.week, rows.brand, rows.units, strict=True):
        want[stores[str(store)], weeks[week], names.index(brand)] = units
    np.testing.assert_allclose(sold, want[[stores[name] for name in markets], :100], rtol=1e-9)


# ------------------------------------------------------------------------------------------ part of a file

CHAIN = """store,week,brand,kind,price,units
1,1990-06-14,a,x,1,10
1,1990-06-21,a,x,2,20
1,1990-06-28,a,x,3,30
1,1990-06-21,a,y,4,40
2,1990-06-21,a,x,2,15
2,1990-06-28,a,x,3,25
"""
CHAIN_COLUMNS = {"market": "store", "period": "week", "seller": "brand"}


def of_chain(folder: Path, **tape: Any) -> MarketSpec:
    found = {"file": str(written(folder, CHAIN)), "columns": CHAIN_COLUMNS} | tape
    return MarketSpec.parse(a_market(OWN, horizon=1, tape=found, **MADE))


@pytest.mark.parametrize(
    ("tape", "labels", "prices"),
    [
        ({"where": {"kind": "x", "store": 1}}, ["1990-06-14", "1990-06-21", "1990-06-28"], [[1, 2, 3]]),
        ({"where": {"kind": "y"}}, ["1990-06-21"], [[4]]),
        ({"where": {"kind": "x"}, "periods": ["1990-06-21", "1990-06-28"]}, ["1990-06-21", "1990-06-28"], [[2, 3]] * 2),
        ({"where": {"kind": "x"}, "periods": [None, "1990-06-21"]}, ["1990-06-14", "1990-06-21"], [[1, 2], [2, 2]]),
    ],
)
def test_a_part_of_a_file_is_replayed(tmp_path: Path, tape: dict[str, Any], labels: list[str], prices: Any) -> None:
    spec = of_chain(tmp_path, **tape)
    found = replay(spec)
    assert found.labels == labels and found.price[..., 0].tolist() == prices
    assert MarketSpec.parse(spec.dump()) == spec
    assert len({spec, MarketSpec.parse(spec.dump())}) == 1


def test_dates_and_numbers_of_yaml_are_the_files_text(tmp_path: Path) -> None:
    written(tmp_path, CHAIN)
    columns = "{market: store, period: week, seller: brand}"
    tape = f"{{file: sales.csv, columns: {columns}, where: {{store: 2}}, periods: [1990-06-28, null]}}"
    data = yaml.safe_load(f"tape: {tape}")
    market = a_market(OWN, horizon=1, **MADE, **data)
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({"market": market, "evaluation": {"warm_up": 0}}))
    config = read_config(tmp_path / "run.yaml")
    assert config.market.tape is not None and config.market.tape.where == {"store": "2"}
    assert config.market.tape.periods == ("1990-06-28", None)
    assert replay(config.market).price.tolist() == [[[3]]]
    assert MarketSpec.parse(yaml.safe_load(yaml.safe_dump(config.dump()))["market"]) == config.market


def test_whole_numbers_bound_periods_by_value(tmp_path: Path) -> None:
    text = "period,seller,price,units\n" + "".join(f"{t},a,2,{t}\n" for t in range(8, 12))
    tape = {"file": str(written(tmp_path, text)), "periods": [9, 10]}
    assert replay(MarketSpec.parse(a_market(OWN, horizon=2, tape=tape, **MADE))).labels == ["9", "10"]


@pytest.mark.parametrize(
    ("tape", "said"),
    [
        ({"where": {"kind": "z"}}, r"market.tape: .*sales.csv: where kind=z: no row has it; there are x, y"),
        ({"where": {"sort": "x"}}, r"market.tape: .*sales.csv: where sort: no such column; the file has store, week"),
        ({"where": {"kind": ["x"]}}, r"market.tape.where.kind: must be a valid string"),
        ({"where": "kind=x"}, r"market.tape.where: must be a mapping of keys to values"),
        ({"periods": ["1991-01-01", None]}, r"market.tape: .*sales.csv: periods: no row lies there"),
        ({"periods": ["1990-06-14"]}, r"market.tape.periods.1: the list is too short"),
        ({"periods": 3}, r"market.tape.periods: must be a list"),
        (
            {"columns": {"week": "period"}},
            r"market.tape.columns: 'week' is no column of a sales file; there are period,",
        ),
        ({"columns": {"period": "weak"}}, r"market.tape: .*sales.csv: columns period=weak: no such column; the file"),
        ({"where": {"kind": "x"}, "periods": [None, "1990-06-21"], "horizon": 3}, r"market.tape.horizon: unknown key"),
        ({}, r"market.tape: .*sales.csv: lines 3, 5: several rows of a seller in a period, told apart by column kind"),
    ],
)
def test_parts_that_cannot_be_are_refused(tmp_path: Path, tape: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        MarketBatch(of_chain(tmp_path, **tape))


def test_the_horizon_ends_with_the_part(tmp_path: Path) -> None:
    spec = of_chain(tmp_path, where={"kind": "x"}, periods=["1990-06-21", None])
    with pytest.raises(UserError, match=r"market.horizon: 3 goes beyond the 2 periods of .*sales.csv"):
        MarketBatch(spec.model_copy(update={"horizon": 3}))


# ------------------------------------------------------------------------------------------ files and paths


def test_the_file_is_read_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, read = written(tmp_path), []

    def counted(*where: Any, **more: Any) -> Sales:
        read.append(where)
        return read_sales(*where, **more)

    monkeypatch.setattr("market.demand.history.read_sales", counted)
    spec = replayed(path)
    for _ in range(3):
        MarketBatch(spec)
    replay(spec.model_copy(update={"price_sensitivity": 2.0}))
    assert len(read) == 1
    written(tmp_path, TWO_BY_TWO.replace(",50,", ",500,"))
    with pytest.raises(UserError):
        MarketBatch(spec)
    assert len(read) == 2
    assert spec.tape is not None
    other = spec.model_copy(update={"tape": spec.tape.model_copy(update={"where": {"market": "y"}})})
    assert replay(other).markets == ["y"] and len(read) == 3


def test_a_path_is_relative_to_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "configs"
    folder.mkdir()
    path = written(folder)
    data = {"market": a_market(OWN, OWN, horizon=2, tape={"file": "sales.csv"}, **MADE)}
    (folder / "run.yaml").write_text(yaml.safe_dump(data | {"evaluation": {"warm_up": 0}}))
    monkeypatch.chdir(tmp_path)
    spec, config = MarketSpec.load("configs/run.yaml"), read_config("configs/run.yaml")
    assert spec.tape is not None and config.market.tape is not None
    assert spec.tape.file == config.market.tape.file == str(path)
    assert config.market.tape.sha256 is not None and pinned(config.market) is config.market
    assert MarketSpec.parse(config.dump()["market"]) == config.market
    written(tmp_path, TWO_BY_TWO.replace("x,1,a,2.0", "x,1,a,2.1"), "other.csv")
    moved = read_config("configs/run.yaml", ["market.tape.file=other.csv"])
    assert moved.market.tape is not None and moved.market.tape.file == str(tmp_path / "other.csv")


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    spec = pinned(replayed(written(tmp_path)))
    written(tmp_path, TWO_BY_TWO.replace("x,1,a,2.0", "x,1,a,2.1"))
    with pytest.raises(
        UserError, match=r"market.tape.sha256: .*sales.csv has changed: its SHA-256 is [0-9a-f]{64}, not"
    ):
        MarketBatch(spec)


SIZED = "period,seller,price,units,market_size\n1,a,2,50,80\n1,b,2,30,80\n"


@pytest.mark.parametrize(
    ("text", "changes", "said"),
    [
        (TWO_BY_TWO, {"horizon": 3}, r"market.horizon: 3 goes beyond the 2 periods of .*sales.csv: lower it"),
        (TWO_BY_TWO.replace(",b,", ",c,"), {}, r"market.sellers.1 \(b\).name: .*csv has no such seller; it has a, c"),
        (
            TWO_BY_TWO,
            {"customers": {"rate": 30, "mode": "expected", "basket": 2}},
            (
                r"market.tape: line 2 \(market x, period 1\): 75 units are sold in a market of 60, so that nobody would "
                r"be left who buys nothing: customers.rate must be above 37.5"
            ),
        ),
        (
            SIZED,
            {"horizon": 1},
            r"market.tape: line 2 \(market all, period 1\): 80 units .* 80, .*: market_size there must be above 80",
        ),
        (SIZED.replace("30,80", "30,90"), {"horizon": 1}, r"sales.csv: line 2: market_size must be the same for all"),
        (
            TWO_BY_TWO.replace("1.0,40", "6.0,40"),
            {},
            r"market.sellers.1 \(b\).prices: \[0.5, 5\] leaves out prices of the history, from 2.5 to 6: \[0.5, 6\] ",
        ),
        (
            TWO_BY_TWO,
            {"locations": [{"name": "x", "quality": [1, 1]}]},
            r"market.locations: market y of the sales file is not among x: add it, or leave locations out",
        ),
        (
            TWO_BY_TWO.replace("2.0,50", "2.0,some"),
            {},
            r"market.tape: .*sales.csv: line 2: units must be a number",
        ),
        (TWO_BY_TWO, {"outside": "none"}, "tape needs an outside option"),
    ],
)
def test_histories_that_cannot_be_replayed_are_refused(
    tmp_path: Path, text: str, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        MarketBatch(replayed(written(tmp_path, text), **changes))


@pytest.mark.parametrize(
    ("tape", "said"),
    [
        ({}, "market.tape.file: this key is required"),
        ({"file": ""}, "market.tape.file"),
        ({"file": "x.csv", "sha256": "abc"}, "market.tape.sha256"),
        ({"file": "x.csv", "colums": {}}, r"market.tape.colums: unknown key \(did you mean columns"),
        ({"file": "nowhere.csv"}, r"market.tape.file: .*nowhere.csv: cannot be read \(No such file"),
    ],
)
def test_tapes_that_cannot_be_are_refused(tape: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        MarketBatch(MarketSpec.parse(a_market(tape=tape)))


def test_a_refusal_of_the_file_names_the_configuration(tmp_path: Path) -> None:
    written(tmp_path)
    data = {"market": a_market(OWN, OWN, horizon=5, tape={"file": "sales.csv"}, **MADE)}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(data | {"evaluation": {"warm_up": 0}}))
    with pytest.raises(UserError, match=r"run.yaml: market.horizon: 5 goes beyond the 2 periods"):
        read_config(tmp_path / "run.yaml")
