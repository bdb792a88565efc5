"""States told in fields: what is written is what the market showed, and every mistake has its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from market.errors import UserError
from market.spec.models import MarketSpec
from policies.deployment.decider import in_calendar, market_states
from policies.deployment.fields import Field, fields_of
from policies.deployment.states import Given, read_states
from policies.explain.states import greedy_rollout, views
from tests.helpers.explained import DUOPOLY, MADE, MONOPOLY, RICH, network_seller
from tests.helpers.markets import a_market, a_seller


@pytest.mark.parametrize("plain", [RICH, DUOPOLY, MONOPOLY, MADE])
def test_states_told_in_fields_are_seen_as_they_were_met(plain: dict[str, Any]) -> None:
    """The observation to the last bit or two: reference prices go through money and back."""
    spec = MarketSpec.parse(plain)
    sellers = [network_seller(spec, seat, seat) for seat in range(len(spec.sellers))]
    met = greedy_rollout(spec, sellers, episodes=6, seed=5).states
    for seat in range(len(spec.sellers)):
        fields = fields_of(spec, seat)
        told = market_states(spec, fields, np.stack([field.values(met) for field in fields], 1), met.place)
        ((_, before),), ((_, after),) = views(spec, met, seat), views(spec, told, seat)
        np.testing.assert_allclose(after.observation, before.observation, rtol=1e-6, atol=1e-6)
        assert len({tuple(row) for row in after.observation}) > 10


def spec_of(lead_time: int = 3) -> MarketSpec:
    left, right = a_seller(name="left", lead_time=lead_time), a_seller(name="right", lead_time=lead_time)
    return MarketSpec.parse(a_market(left, right))


WHOLE: dict[str, Any] = {
    "on_hand": 12,
    "on_order": [{"arrives_in": 1, "units": 4}, {"arrives_in": 2, "units": 3}, {"arrives_in": 1, "units": 2}],
    "price": 1.8,
    "sold": 5,
    "lost": 1,
    "rivals": {"right": {"price": 1.7, "in_stock": True}},
}


def told(path: Path, joined: bool = False, lead_time: int = 3) -> Given:
    spec = spec_of(lead_time)
    return read_states(path, spec, 0, fields_of(spec, 0), joined)


def written(folder: Path, content: Any, name: str = "state.yaml") -> Path:
    path = folder / name
    path.write_text(json.dumps(content) if name.endswith("json") else yaml.safe_dump(content), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["state.yaml", "state.json"])
def test_one_state_is_read_by_hand(name: str, tmp_path: Path) -> None:
    """Orders that arrive together are one: 4 + 2 next period, 3 in the one after."""
    found = told(written(tmp_path, WHOLE, name))
    assert [field.name for field in fields_of(spec_of(), 0)] == [
        *("on_hand", "arriving_in_1", "arriving_in_2", "price", "sold", "lost"),
        *("rivals.right.price", "rivals.right.in_stock"),
    ]
    assert found.values.tolist() == [[12, 6, 3, 1.8, 5, 1, 1.7, 1]]
    assert np.isnan(found.cost).all() and found.last.tolist() == [0]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_says_the_same_as_yaml(suffix: str, tmp_path: Path) -> None:
    names = [field.name for field in fields_of(spec_of(), 0)]
    rows = [[12, 6, 3, 1.8, 5, 1, 1.7, True], [0, 0, 0, 2.5, 0, 0, 1.9, False]]
    frame, path = (
        pd.DataFrame(rows, columns=names).assign(id=["a", "b"], unit_cost=[1.0, 1.1]),
        tmp_path / f"s.{suffix}",
    )
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    found = told(path)
    assert found.labels == ["a", "b"] and found.cost.tolist() == [1.0, 1.1]
    assert found.values[0].tolist() == told(written(tmp_path, WHOLE)).values[0].tolist()
    assert found.values[1].tolist() == [0, 0, 0, 2.5, 0, 0, 1.9, 0]


def test_earlier_states_belong_to_the_decision_that_follows_them(tmp_path: Path) -> None:
    earlier = [{**WHOLE, "sold": units} for units in (1, 2)]
    found = told(written(tmp_path, [{**WHOLE, "history": earlier}, WHOLE]), joined=True)
    assert found.decision.tolist() == [0, 0, 0, 1] and found.last.tolist() == [2, 3]
    assert found.values[:, 4].tolist() == [1, 2, 5, 5]
    frame = pd.DataFrame({"id": ["a", "b", "a"], "price": 1.0})
    frame.to_csv(tmp_path / "apart.csv", index=False)
    with pytest.raises(UserError, match=r"apart.csv: line 4: id: rows of 'a' must follow one another"):
        told(tmp_path / "apart.csv", joined=True)


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": ({"on_hnd": 3}, r"state.yaml: on_hnd: unknown field \(did you mean on_hand\?\)"),
    "rival": ({"rivals": {"wrong": {"price": 1}}}, r"rivals.wrong.price: unknown field"),
    "number": ({"sold": "many"}, r"sold: must be a number of at least 0, got 'many'"),
    "negative": ({"on_hand": -1}, r"on_hand: must be a number of at least 0, got -1"),
    "infinite": ({"price": float("inf")}, r"price: must be a number"),
    "flag": ({"rivals": {"right": {"in_stock": "maybe"}}}, r"rivals.right.in_stock: must be true or false"),
    "late": ({"on_order": [{"arrives_in": 3, "units": 1}]}, r"on_order.0.arrives_in: must be from 1 to 2"),
    "order": ({"on_order": [{"units": 1}]}, r"on_order.0: must be {arrives_in"),
    "shape": ({"rivals": [1]}, r"rivals: must be a mapping"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_state_has_its_place(mistake: str, tmp_path: Path) -> None:
    wrong, message = MISTAKES[mistake]
    with pytest.raises(UserError, match=message):
        told(written(tmp_path, WHOLE | wrong))


def test_a_mistake_in_a_table_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("on_hand,price\n1,2\n1,x\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"s.csv: line 3: price: must be a number"):
        told(tmp_path / "s.csv")
    (tmp_path / "s.csv").write_text("on_hand,prise\n1,2\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"s.csv: line 2: prise: unknown field"):
        told(tmp_path / "s.csv")
    (tmp_path / "s.csv").write_text("on_hand,price\n", encoding="utf-8")
    with pytest.raises(UserError, match="holds no state"):
        told(tmp_path / "s.csv")


def test_nothing_is_on_order_where_orders_arrive_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing: what was ordered last is there by now"):
        told(written(tmp_path, WHOLE), lead_time=1)


def test_a_calendar_that_repeats_goes_on_beyond_an_episode() -> None:
    """Weeks of 7 in episodes of 20: day 23 is a day 2; with a trend no day repeats."""
    weekly = {"rate": 20.0, "weekly": [1, 1, 1, 1, 1, 2, 2]}
    spec = MarketSpec.parse(a_market(a_seller(name="left"), a_seller(name="right"), horizon=20, customers=weekly))
    assert in_calendar(spec, np.array([3.0, 23.0])).tolist() == [3, 2]
    growing = MarketSpec.parse(
        a_market(a_seller(name="left"), a_seller(name="right"), horizon=20, customers=weekly | {"trend": 0.01})
    )
    with pytest.raises(UserError, match="period: must be below 20"):
        in_calendar(growing, np.array([23.0]))


def test_a_field_says_flags_in_words() -> None:
    assert Field("x", "", ("on_hand", 0, 0), flag=True).said(1.0) == "true"
    assert Field("x", "", ("on_hand", 0, 0)).said(12345.0) == "12345"
