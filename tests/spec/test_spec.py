"""The configuration: it goes through YAML and back, and every message names the key and the rule."""

from __future__ import annotations

import copy
import math
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from market.errors import UserError
from market.spec.loading import read_yaml
from market.spec.models import MarketSpec
from tests.helpers.markets import a_market

FULL = a_market(
    {"grid": {"prices": 5, "levels": [0, 10, 20]}, "actions": "grid", "start_price": 1.5, "lead_time": 2, "xi": 0.2},
    {"event_frequency": 0.2, "stock": 3, "order_cost": 1.0},
    customers={
        "rate": 7.5,
        "dispersion": 0.1,
        "basket": 2,
        "substitution": 0.5,
        "weekly": [1, 2],
        "yearly": {"amplitude": 0.3, "peak": 10},
        "trend": 0.001,
        "shock": {"sd": 0.2, "persistence": 0.5},
    },
    outside="none",
    nest=0.2,
    demand_shock={"common": 0.1, "persistence": 0.3},
    events={"effect": 0.8, "mean_length": 2.4, "announced": 1},
    visibility={"rivals_prices": "hidden", "rivals_stock": "level"},
)


def changed(path: str, value: Any, data: dict[str, Any] = FULL) -> dict[str, Any]:
    """A copy of plain data with the key at ``path`` (dots; numbers index lists) set to ``value``."""
    data = copy.deepcopy(data)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place: Any = data
    for part in parents:
        place = place[part]
    place[last] = value
    return data


def message(data: Any) -> str:
    with pytest.raises(UserError) as refusal:
        MarketSpec.parse(data)
    return str(refusal.value)


# ------------------------------------------------------------------------------------ through YAML and back


@pytest.mark.parametrize("data", [FULL, a_market({}), changed("outside", -1.5)])
def test_a_spec_survives_yaml(data: dict[str, Any], tmp_path: Path) -> None:
    spec, path = MarketSpec.parse(data), tmp_path / "market.yaml"
    path.write_text(yaml.safe_dump({"market": spec.dump(), "seats": {}}))
    assert MarketSpec.load(path) == spec
    path.write_text(yaml.safe_dump(spec.dump()))
    assert MarketSpec.load(path) == spec


def test_no_outside_option_is_written_none() -> None:
    spec = MarketSpec.parse(FULL)
    assert spec.outside == -math.inf and spec.dump()["outside"] == "none"


def test_a_spec_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        MarketSpec.parse(FULL).horizon = 3  # type: ignore[misc]


def test_what_a_spec_says_of_itself() -> None:
    spec = MarketSpec.parse(FULL)
    assert (spec.stocked, spec.names, spec.max_lead_time, spec.announced) == (True, ["a", "b"], 2, 1)
    assert [seller.first_price for seller in spec.sellers] == [1.5, 2.0]
    assert MarketSpec.parse(a_market({})).announced == 0


# ------------------------------------------------------------------------------------ every message


NUMBER_RULES = {
    "horizon": [(0, "greater than or equal to 1"), (2.5, "valid integer"), ("soon", "valid integer")],
    "inventory": [("none", "'stocked' or 'make_to_order'")],
    "price_form": [("square", "'linear' or 'log'")],
    "price_sensitivity": [
        (0, "greater than 0"),
        (math.nan, "greater than 0|finite|less than"),
        (1e13, "less than or equal"),
    ],
    "nest": [(1, "less than 1"), (-0.1, "greater than or equal to 0"), (math.nan, "less than 1|greater")],
    "outside": [
        (101, "less than or equal to 100"),
        (math.nan, "less than or equal to 100"),
        ("None", "or none: everyone buys"),
    ],
    "customers": [(5, "must be a mapping"), (None, "must be a mapping")],
    "customers.mode": [("fluid", "'sampled' or 'expected'")],
    "customers.rate": [(0, "greater than 0"), ("many", "valid number"), (None, "valid number")],
    "customers.dispersion": [(-1, "greater than or equal to 0")],
    "customers.basket": [(0, "greater than 0")],
    "customers.substitution": [(1.1, "less than or equal to 1"), (-0.1, "greater than or equal to 0")],
    "customers.weekly": [("abc", "must be a list")],
    "customers.weekly.0": [(-1, "greater than or equal to 0")],
    "customers.yearly.amplitude": [(1, "less than 1")],
    "customers.yearly.length": [(0, "greater than 0")],
    "customers.yearly.peak": [(math.inf, "less than or equal")],
    "customers.trend": [(-1, "greater than -1"), (1, "less than 1")],
    "customers.shock.sd": [(-1, "greater than or equal to 0"), (101, "less than or equal to 100")],
    "customers.shock.persistence": [(1, "less than 1")],
    "demand_shock.common": [(-1, "greater than or equal to 0")],
    "demand_shock.persistence": [(1, "less than 1")],
    "events.effect": [(101, "less than or equal to 100")],
    "events.mean_length": [(0.5, "greater than or equal to 1")],
    "events.announced": [(-1, "greater than or equal to 0")],
    "visibility.rivals_prices": [("seen", "'last' or 'hidden'")],
    "visibility.rivals_stock": [("seen", "'hidden', 'flag' or 'level'")],
    "sellers": [({}, "must be a list"), (None, "must be a list")],
    "sellers.1": [(None, "must be a mapping")],
    "sellers.0.name": [("a b", "must be of letters"), ("", "at least 1 character")],
    "sellers.0.quality": [(-101, "greater than or equal to -100"), (math.nan, "must be")],
    "sellers.0.unit_cost": [(-1, "greater than or equal to 0"), (math.inf, "less than or equal")],
    "sellers.0.prices": [(3, "must be a list"), ([1, 2, 3], "at most 2 items")],
    "sellers.0.prices.1": [("x", "valid number")],
    "sellers.0.lead_time": [
        (-1, "greater than or equal to 0"),
        (65, "less than or equal to 64"),
        (1.5, "valid integer"),
    ],
    "sellers.0.stock": [(-1, "greater than or equal to 0")],
    "sellers.0.event_frequency": [(1, "less than 1")],
    "sellers.0.actions": [("both", "'box' or 'grid'")],
    "sellers.0.reward_scale": [(0, "greater than 0")],
    "sellers.0.grid": [(5, "must be a mapping")],
    "sellers.0.grid.prices": [
        (0, "a count from 1 to 10000"),
        ("x", "a count from 1 to 10000"),
        ([], "or a list of numbers"),
    ],
    "sellers.0.grid.levels": [([1, "x"], "a count from 1 to 10000 .* or a list of numbers")],
}
CASES = [(path, value, rule) for path, rules in NUMBER_RULES.items() for value, rule in rules]


@pytest.mark.parametrize(("path", "value", "rule"), CASES, ids=[f"{path}={value}" for path, value, _ in CASES])
def test_a_value_out_of_its_range_is_refused_with_its_path(path: str, value: Any, rule: str) -> None:
    said = message(changed(path, value))
    assert said.startswith(f"market.{path}: ") and "\n" not in said
    assert re.search(rule, said)


CONTRADICTIONS = [
    ("sellers", [], "market: sellers must name at least one seller"),
    ("sellers.1.name", "a", "market: sellers must have different names, got a, a"),
    ("outside", -101, "market: outside must be a utility from -100 to 100"),
    (
        "customers.basket",
        1.5,
        "market.customers: basket must be a whole number of units when customers.mode is sampled",
    ),
    ("customers.weekly", [0, 0], "market.customers: weekly factors must not all be zero"),
    ("customers.rate", 1e9, "market: customers come to more than 1e+09 in a period: lower rate, trend or horizon"),
    ("sellers.0.prices", [3, 1], "market.sellers.0: prices must be [low, high] with 0 <= low <= high, got [3.0, 1.0]"),
    ("sellers.0.prices", [-1, 1], "market.sellers.0: prices must be [low, high] with 0 <= low <= high"),
    ("sellers.0.prices", [1], "market.sellers.0.prices.1: the list is too short"),
    ("sellers.0.order_up_to", [9, 1], "market.sellers.0: order_up_to must be [low, high] with 0 <= low <= high"),
    ("sellers.0.start_price", 0.5, "market.sellers.0: start_price 0.5 lies outside prices [1.0, 3.0]"),
    ("sellers.0.start_price", math.nan, "market.sellers.0: start_price nan lies outside prices"),
    ("sellers.0.grid.prices", [1, 3.5], "market.sellers.0: grid.prices must lie inside [1.0, 3.0]"),
    ("sellers.0.grid.levels", [21], "market.sellers.0: grid.levels must lie inside [0.0, 20.0]"),
    ("sellers.0.stock", 1.5, "market: sellers.0 (a).stock must be whole units when customers.mode is sampled"),
    ("events", None, "market: sellers.1 (b).event_frequency needs the market's events: {effect, mean_length}"),
    (
        "sellers.1.event_frequency",
        0.8,
        "market: sellers.1 (b).event_frequency 0.8 cannot be reached with events of mean length 2.4: at most 0.706",
    ),
    ("customerz", {}, "market.customerz: unknown key (did you mean customers?)"),
    ("sellers.0.holding_costs", 1, "market.sellers.0.holding_costs: unknown key (did you mean holding_cost?)"),
    ("customers.yearly.zzz", 1, "market.customers.yearly.zzz: unknown key (known: amplitude, peak, length)"),
    ("customers.rate", True, "market.customers.rate: must not be true or false"),
    ("sellers.0.name", False, "market.sellers.0.name: must not be true or false"),
]


@pytest.mark.parametrize(("path", "value", "said"), CONTRADICTIONS)
def test_a_contradiction_is_refused_in_words(path: str, value: Any, said: str) -> None:
    assert message(changed(path, value)).startswith(said)


def test_a_log_price_must_be_above_zero() -> None:
    said = message(a_market({"prices": [0, 3]}, price_form="log"))
    assert said == "market: sellers.0 (a).prices must start above 0 when price_form is log"


@pytest.mark.parametrize("key", ["stock", "holding_cost", "order_cost", "stockout_cost", "lead_time"])
def test_made_to_order_has_no_stock(key: str) -> None:
    said = message(a_market({"order_up_to": [0, 0], key: 1}, inventory="make_to_order"))
    assert said == f"market: sellers.0 (a).{key} means nothing when inventory is make_to_order: leave it out"


@pytest.mark.parametrize(
    ("key", "change"),
    [("order_up_to", {}), ("grid.levels", {"order_up_to": [0, 0], "grid": {"prices": 3, "levels": 2}})],
)
def test_made_to_order_has_no_orders(key: str, change: dict[str, Any]) -> None:
    said = message(a_market(change, inventory="make_to_order"))
    assert said == f"market: sellers.0 (a).{key} means nothing when inventory is make_to_order: leave it out"


@pytest.mark.parametrize("key", ["horizon", "price_sensitivity", "customers", "sellers"])
def test_a_missing_key_is_named(key: str) -> None:
    data = {name: value for name, value in a_market({}).items() if name != key}
    assert message(data) == f"market.{key}: this key is required"


@pytest.mark.parametrize("key", ["name", "quality", "unit_cost", "prices"])
def test_a_sellers_missing_key_is_named(key: str) -> None:
    data = a_market({})
    del data["sellers"][0][key]
    assert message(data) == f"market.sellers.0.{key}: this key is required"


def test_every_mistake_is_named_at_once() -> None:
    said = message(changed("nest", 2, changed("customers.rate", -1)))
    assert [line.split(":")[0] for line in said.splitlines()] == ["market.nest", "market.customers.rate"]


@pytest.mark.parametrize("data", [None, 3, [1], "x"])
def test_what_is_no_mapping_is_refused(data: Any) -> None:
    assert message(data).startswith("market: must be a mapping of keys to values")


def test_fractions_are_allowed_in_the_fluid_limit() -> None:
    spec = MarketSpec.parse(a_market({"stock": 1.5}, customers={"mode": "expected", "basket": 2.5}))
    assert spec.sellers[0].stock == 1.5 and spec.customers.basket == 2.5


# ------------------------------------------------------------------------------------ files


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: key 'a' is written twice"),
        ("a:\n  b: 1\n  b: 2\n", "line 3: key 'b' is written twice"),
        ("a: [1, 2", "is not valid YAML"),
        ("a: !!python/object/apply:os.getcwd []", "is not valid YAML"),
        ("? [1]\n: 2", "is not valid YAML"),
        ("[1, 2]", "must be a YAML mapping"),
        ("", "must be a YAML mapping"),
        (b"\xff\xfe\xfd", "is not UTF-8 text"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused_by_name(text: str | bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=said) as refusal:
        read_yaml(path)
    assert str(refusal.value).startswith(f"{path}: ") and "\n" not in str(refusal.value)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none.yaml: cannot be read \(No such file"):
        MarketSpec.load(tmp_path / "none.yaml")
    with pytest.raises(UserError, match=r"cannot be read \(Is a directory"):
        MarketSpec.load(tmp_path)


def test_a_file_names_itself_in_messages(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("market: {horizon: 3, foo: 1}")
    with pytest.raises(UserError) as refusal:
        MarketSpec.load(path)
    assert f"{path}: market.foo: unknown key" in str(refusal.value)


def test_sellers_may_share_what_they_have_in_common_by_a_yaml_merge(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("base: &b {x: 1, y: 2}\nother: {<<: *b, y: 3}\n")
    assert read_yaml(path)["other"] == {"x": 1, "y": 3}
