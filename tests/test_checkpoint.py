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
from small_run import DUOPOLY, small_run

from market.errors import Refusal
from market.spec import MarketSpec
from policies.checkpoint import SavedSeller, load_seller, save_seller
from policies.config import load_run
from policies.networks import greedy

a_run = pytest.fixture(scope="session", name="a_run")(small_run)


@pytest.fixture(name="saved")
def _saved(a_run: Path) -> SavedSeller:
    return load_seller(a_run / "checkpoints" / "left.best.pt")


def content_of(a_run: Path) -> dict[str, Any]:
    return dict(torch.load(a_run / "checkpoints" / "left.best.pt", weights_only=True))


def market(*changes: str) -> MarketSpec:
    return load_run(DUOPOLY, changes).market


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


DIFFERENT = {
    ("market.visibility={rivals_prices: hidden}",): "it sees rival_1_price, which this market does not show",
    ("market.visibility={rivals_stock: level}",): "it never saw rival_1_on_hand",
    ("market.sellers.left.prices=[1, 4]",): r"prices was \(1.0, 3.0\), here it is \(1.0, 4.0\)",
    ("market.sellers.left.order_up_to=[0, 50]",): r"order_up_to was \(0.0, 40.0\), here it is \(0.0, 50.0\)",
    ("market.sellers.left.grid={prices: 3, levels: 3}",): "grid was",
    ("market.sellers.left.lead_time=3",): "it never saw own_arriving_in_1, own_arriving_in_2",
}


@pytest.mark.parametrize("changes", DIFFERENT)
def test_another_market_is_told_apart(changes: tuple[str, ...], saved: SavedSeller) -> None:
    with pytest.raises(Refusal, match=f"left.best.pt: the policy of left does not fit .*{DIFFERENT[changes]}"):
        saved.sit(market(*changes))


def test_a_seat_that_is_not_there_is_refused(saved: SavedSeller) -> None:
    with pytest.raises(Refusal, match="seat 2 of 2"):
        saved.sit(saved.market, seat=2)


def test_a_pickle_is_refused_and_not_executed(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "executed"),)

    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Bomb()))
    torch.save({"format": 1, "weights": Bomb()}, tmp_path / "torch.pt")
    for name in ("plain.pt", "torch.pt"):
        with pytest.raises(Refusal, match="is damaged or not a seller saved by bazaar"):
            load_seller(tmp_path / name)
    assert not (tmp_path / "executed").exists()


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "dict.pt")
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "linear.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "text.pt").write_text("hello")
    for path in tmp_path.glob("*.pt"):
        with pytest.raises(Refusal, match=f"{path.name}: is damaged or not a seller saved by bazaar"):
            load_seller(path)
    with pytest.raises(Refusal, match="cannot be read"):
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
        except Refusal:
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
    with pytest.raises(Refusal, match=rule):
        load_seller(tmp_path / "wrong.pt")


def test_a_network_too_large_for_any_memory_is_refused_at_once(saved: SavedSeller, tmp_path: Path) -> None:
    architecture = saved.architecture.model_copy(update={"hidden": (10**7, 10**7)})
    save_seller(replace(saved, path=tmp_path / "large.pt", architecture=architecture))
    with pytest.raises(Refusal, match="its weights do not fit the network that it describes"):
        load_seller(tmp_path / "large.pt").sit(market())


def test_weights_that_are_not_finite_are_refused(a_run: Path, tmp_path: Path) -> None:
    content = content_of(a_run)
    first = next(iter(content["weights"].values()))
    first[0, 0] = float("nan")
    torch.save(content, tmp_path / "nan.pt")
    with pytest.raises(Refusal, match="not all finite"):
        load_seller(tmp_path / "nan.pt")
