"""Saved sellers: what is written is read back, and nothing else is; another market is told apart."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from market.errors import UserError
from market.simulation.batch import MarketBatch
from market.simulation.observation import feature_list
from market.spec.models import MarketSpec
from policies.config.run import read_config
from policies.sellers.checkpoint import SavedSeller, load_seller, save_seller
from policies.sellers.protocol import look
from tests.helpers.probes import greedy
from tests.helpers.small_run import DUOPOLY, small_run

a_run = pytest.fixture(scope="session", name="a_run")(small_run)


@pytest.fixture(name="saved")
def _saved(a_run: Path) -> SavedSeller:
    return load_seller(a_run / "checkpoints" / "left.best.pt")


def content_of(a_run: Path) -> dict[str, Any]:
    return dict(torch.load(a_run / "checkpoints" / "left.best.pt", weights_only=True))


def market(*changes: str) -> MarketSpec:
    return read_config(DUOPOLY, changes).market


def test_a_copy_decides_the_same(saved: SavedSeller, tmp_path: Path) -> None:
    save_seller(replace(saved, path=tmp_path / "copy.pt"))
    again = load_seller(tmp_path / "copy.pt")
    view = np.random.default_rng(0).random((50, saved.architecture.observation), np.float32)
    one, other = (greedy(s.sit(saved.market).network, view) for s in (saved, again))
    assert np.array_equal(one, other) and len(np.unique(one)) > 1
    assert replace(again, path=saved.path, weights={}) == replace(saved, weights={})
    assert list(tmp_path.iterdir()) == [tmp_path / "copy.pt"]


def test_a_policy_can_sit_in_another_seat_of_the_same_kind(saved: SavedSeller) -> None:
    assert saved.sit(saved.market, seat=1).decisions.seller.name == "right"


@pytest.mark.parametrize("change", ["null", "{price: 2.5, level: 5}"])
def test_a_sellers_center_is_its_own_whatever_the_market_says(change: str, a_run: Path) -> None:
    saved = load_seller(a_run / "checkpoints" / "right.best.pt")
    assert saved.market.sellers[1].center is not None
    other = saved.sit(market(f"market.sellers.right.center={change}"))
    action = np.random.default_rng(0).uniform(-1, 1, (50, 3)).astype(np.float32)
    np.testing.assert_array_equal(other.decisions.decode(action), saved.sit(saved.market).decisions.decode(action))


def test_a_sellers_grid_is_its_own_whatever_the_market_says(saved: SavedSeller) -> None:
    other = saved.sit(market("market.sellers.left.grid={prices: 3, levels: 3}"))
    actions = np.arange(saved.architecture.actions)
    np.testing.assert_array_equal(other.decisions.decode(actions), saved.sit(saved.market).decisions.decode(actions))


DIFFERENT = {
    ("market.visibility={rivals_prices: hidden}",): "it sees rival_1_price, which this market does not show",
    ("market.visibility={rivals_stock: level}",): "it never saw rival_1_on_hand",
    ("market.sellers.left.prices=[1, 4]",): r"prices was \(1.0, 3.0\), here it is \(1.0, 4.0\)",
    ("market.sellers.left.order_up_to=[0, 50]",): r"order_up_to was \(0.0, 40.0\), here it is \(0.0, 50.0\)",
    ("market.sellers.left.lead_time=3",): "it never saw own_arriving_in_1, own_arriving_in_2",
}


@pytest.mark.parametrize("changes", DIFFERENT)
def test_another_market_is_told_apart(changes: tuple[str, ...], saved: SavedSeller) -> None:
    with pytest.raises(UserError, match=f"left.best.pt: the policy of left does not fit .*{DIFFERENT[changes]}"):
        saved.sit(market(*changes))


def test_a_seat_that_is_not_there_is_refused(saved: SavedSeller) -> None:
    with pytest.raises(UserError, match="seat 2 of 2"):
        saved.sit(saved.market, seat=2)


@pytest.mark.parametrize("changes", DIFFERENT)
def test_another_market_is_adapted_to_when_asked(changes: tuple[str, ...], saved: SavedSeller) -> None:
    """It decides as it learned to: what it sees is what a seat of its own market would be shown, range by range."""
    spec = market(*changes)
    seller, batch = saved.sit(spec, adapt=True), MarketBatch(spec, 64, seed=3)
    batch.reset()
    rng = np.random.default_rng(0)
    for _ in range(5):
        batch.step(rng.uniform(1, 4, (64, 2)), rng.uniform(0, 30, (64, 2)))
    view = look(batch, 0, batch.observe())
    seen = seller.seen(view)
    columns = {feature.name: seen[:, k] for k, feature in enumerate(feature_list(saved.market))}
    assert columns["own_on_hand"] == pytest.approx(np.minimum(view.on_hand / 40, 4))
    assert columns["own_price"] == pytest.approx(np.minimum(view.price - 2, 1), abs=1e-6)
    rival = np.zeros(64) if view.rivals_price is None else view.rivals_price[:, 0] - 2
    assert columns["rival_1_price"] == pytest.approx(rival, abs=1e-6)
    price, quantity, _ = seller.act(view, seller.start(64))
    wanted, level = saved.sit(saved.market).decisions.decode(greedy(seller.network, seen))
    assert np.array_equal(price, wanted)
    assert np.array_equal(quantity, np.maximum(level - view.on_hand - view.on_order, 0))


def test_adapting_to_its_own_market_changes_nothing(saved: SavedSeller) -> None:
    batch = MarketBatch(saved.market, 32)
    batch.reset()
    batch.step(np.full((32, 2), 1.7), np.full((32, 2), 9.0))
    view = look(batch, 0, batch.observe())
    plain, adapted = (saved.sit(saved.market, adapt=adapt).act(view, {}) for adapt in (False, True))
    assert np.array_equal(plain[0], adapted[0]) and np.array_equal(plain[1], adapted[1])


def test_nothing_adapts_to_a_seat_that_is_not_there_or_to_made_to_order(saved: SavedSeller) -> None:
    with pytest.raises(UserError, match="seat 2 of 2"):
        saved.sit(saved.market, seat=2, adapt=True)
    made = MarketSpec.load(DUOPOLY.parent / "calvano.yaml")
    with pytest.raises(UserError, match="inventory was stocked, here it is make_to_order"):
        saved.sit(made, adapt=True)


def test_a_seller_moves_to_a_variant_of_its_market(saved: SavedSeller) -> None:
    late = market("market.sellers.left.lead_time=3")
    moved, adapted = saved.sit(saved.market).moved(late, saved.market, 0), saved.sit(late, adapt=True)
    back = moved.moved(saved.market, late, 0)
    batch = MarketBatch(late, 16)
    batch.reset()
    batch.step(np.full((16, 2), 1.7), np.full((16, 2), 9.0))
    view = look(batch, 0, batch.observe())
    assert np.array_equal(moved.seen(view), adapted.seen(view))
    assert np.array_equal(moved.act(view, {})[0], adapted.act(view, {})[0])
    home = MarketBatch(saved.market, 16)
    home.reset()
    view = look(home, 0, home.observe())
    assert np.array_equal(back.seen(view), view.observation)


def test_a_pickle_is_refused_and_not_executed(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "executed"),)

    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Bomb()))
    torch.save({"format": 1, "weights": Bomb()}, tmp_path / "torch.pt")
    for name in ("plain.pt", "torch.pt"):
        with pytest.raises(UserError, match="is damaged or not a seller saved by bazaar"):
            load_seller(tmp_path / name)
    assert not (tmp_path / "executed").exists()


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "dict.pt")
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "linear.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "text.pt").write_text("hello")
    for path in tmp_path.glob("*.pt"):
        with pytest.raises(UserError, match=f"{path.name}: is damaged or not a seller saved by bazaar"):
            load_seller(path)
    with pytest.raises(UserError, match="cannot be read"):
        load_seller(tmp_path / "nothing.pt")


def test_any_damage_is_refused_or_harmless(a_run: Path, saved: SavedSeller, tmp_path: Path) -> None:
    whole = (a_run / "checkpoints" / "left.best.pt").read_bytes()
    rng, refused = np.random.default_rng(1), 0
    for k in range(150):
        broken = bytearray(whole[: rng.integers(1, len(whole))] if k % 3 == 0 else whole)
        for at in rng.integers(0, len(broken), 1 + k % 7):
            broken[at] = rng.integers(256)
        (tmp_path / "broken.pt").write_bytes(bytes(broken))
        try:
            loaded = load_seller(tmp_path / "broken.pt")
        except UserError:
            refused += 1
            continue
        # What is left are bytes of the container that nobody reads.
        assert replace(loaded, path=saved.path, weights={}) == replace(saved, weights={})
        assert all(torch.equal(loaded.weights[name], tensor) for name, tensor in saved.weights.items())
    assert refused >= 120


WRONG: dict[str, tuple[Any, str]] = {
    "format": (2, "was saved in format 2, this version of bazaar reads 1"),
    "seat": (7, "seat 7 of 2"),
    "encoding": ("circle", "header.encoding"),
    "learner": (None, "header.learner"),
    "architecture": ({"kind": "q", "observation": 3, "actions": 99}, "the network sees 3 numbers, the market shows"),
    "market": ({"name": "x"}, "market.horizon: this key is required"),
    "weights": ({"body": "text"}, "it holds no weights"),
    "extra": (1, "header.extra: unknown key"),
}


@pytest.mark.parametrize("key", WRONG)
def test_contents_that_contradict_each_other_are_refused(key: str, a_run: Path, tmp_path: Path) -> None:
    value, rule = WRONG[key]
    torch.save(content_of(a_run) | {key: value}, tmp_path / "wrong.pt")
    with pytest.raises(UserError, match=rule):
        load_seller(tmp_path / "wrong.pt")


def test_a_network_too_large_for_any_memory_is_refused_at_once(saved: SavedSeller, tmp_path: Path) -> None:
    architecture = saved.architecture.model_copy(update={"hidden": (10**7, 10**7)})
    save_seller(replace(saved, path=tmp_path / "large.pt", architecture=architecture))
    with pytest.raises(UserError, match="its weights do not fit the network that it describes"):
        load_seller(tmp_path / "large.pt").sit(market())


def test_weights_that_are_not_finite_are_refused(a_run: Path, tmp_path: Path) -> None:
    content = content_of(a_run)
    first = next(iter(content["weights"].values()))
    first.view(-1)[0] = float("nan")
    torch.save(content, tmp_path / "nan.pt")
    with pytest.raises(UserError, match="not all finite"):
        load_seller(tmp_path / "nan.pt")
