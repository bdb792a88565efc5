"""A run's configuration: round trip, changes by key path, and whole numbers as people write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from market.errors import UserError
from market.spec.loading import read_yaml
from policies.config.run import parse_run, read_config, set_value
from tests.helpers.small_run import DUOPOLY


def test_a_dump_reads_back_the_same() -> None:
    config = read_config(DUOPOLY, ["learners.dqn.gamma=0.9", "market.outside=none"])
    assert parse_run(config.dump(), "again") == config


def test_changes_reach_values_by_number_and_by_name() -> None:
    changes = ["market.sellers.left.unit_cost=1.5", "market.sellers.1.unit_cost=1.25", "training.budget=3e5"]
    config = read_config(DUOPOLY, [*changes, "learners.dqn.lr=0.01", "seats.right={learner: a2c, segment: 5}"])
    assert [seller.unit_cost for seller in config.market.sellers] == [1.5, 1.25]
    assert config.training.budget == 300_000
    assert config.learners == {"dqn": {"lr": 0.01}}
    assert config.seats["right"] == {"learner": "a2c", "segment": 5}


def test_the_last_change_of_a_key_counts() -> None:
    assert read_config(DUOPOLY, ["market.horizon=50", "market.horizon=60"]).market.horizon == 60


DOTTED = ("minute.maid", "minute", "Dr.")


@pytest.mark.parametrize("name", DOTTED)
def test_a_sellers_name_may_have_dots(name: str) -> None:
    market = read_config(DUOPOLY).market.dump()
    market["sellers"] = [market["sellers"][0] | {"name": name} for name in DOTTED]
    data = {"market": market, "seats": {"minute": "dqn"}}
    set_value(data, f"market.sellers.{name}.unit_cost=1.5")
    set_value(data, f"seats.{name}=history")
    set_value(data, f"seats.{name}={{learner: a2c}}")
    set_value(data, f"seats.{name}.segment=5")
    assert [one["unit_cost"] == 1.5 for one in market["sellers"]] == [one == name for one in DOTTED]
    assert data["seats"] == {"minute": "dqn"} | {name: {"learner": "a2c", "segment": 5}}


def test_a_seat_may_be_given_where_there_are_no_seats_yet() -> None:
    data = {"market": {"sellers": [{"name": "minute.maid"}]}, "seats": None}
    set_value(data, "seats.minute.maid=history")
    assert data["seats"] == {"minute.maid": "history"}


def test_a_key_that_has_dots_is_one_key() -> None:
    data = {"tune": {"learners.dqn.lr": 1, "learners": {}}}
    set_value(data, "tune.learners.dqn.lr=2")
    set_value(data, "tune.learners.dqn.tau=3")
    assert data == {"tune": {"learners.dqn.lr": 2, "learners": {"dqn": {"tau": 3}}}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("market.sellers.maid.unit_cost=1", "--set market.sellers.maid: no item 'maid' among minute.maid"),
        ("market.sellers.minute.made.xi=1", "--set market.sellers.minute: no item 'minute' among minute.maid"),
        (
            "market.sellers.minute.maid.name.x=1",
            "--set market.sellers.minute.maid.name: is the value 'minute.maid', it",
        ),
        ("seats.minute..maid=1", "--set seats.minute..maid=1: must be key.path=value, no key empty"),
        ("seats.minute.maid.=1", "--set seats.minute.maid.=1: must be key.path=value, no key empty"),
        (".seats=1", "--set .seats=1: must be key.path=value, no key empty"),
    ],
)
def test_a_change_that_reaches_nothing_is_refused_at_its_place(change: str, said: str) -> None:
    with pytest.raises(UserError) as refusal:
        set_value({"market": {"sellers": [{"name": "minute.maid"}]}}, change)
    assert str(refusal.value).startswith(said)


def test_a_list_item_can_be_replaced() -> None:
    data = {"evaluation": {"line_ups": ["nash", "match"]}}
    set_value(data, "evaluation.line_ups.1=undercut")
    assert data == {"evaluation": {"line_ups": ["nash", "undercut"]}}


def test_the_file_is_named_once_and_before_the_key() -> None:
    with pytest.raises(UserError, match=r"^mine\.yaml: training\.bugdet: unknown key \(did you mean budget\?\)$"):
        parse_run(read_yaml(DUOPOLY) | {"training": {"bugdet": 1}}, "mine.yaml")
    with pytest.raises(UserError, match=r"^mine\.yaml: market\.sellers\.0\.name: this key is required"):
        parse_run(read_yaml(DUOPOLY) | {"market": read_config(DUOPOLY).market.dump() | {"sellers": [{}]}}, "mine.yaml")


def test_each_mistake_is_blamed_on_the_change_it_comes_from_and_else_on_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(DUOPOLY.read_text() + "  budgt: 5\n")
    changes = ("market.sellers.right.unit_cost=2", "training.markets=0", "evaluation.salvage=2")
    with pytest.raises(UserError) as refusal:
        read_config(path, changes)
    assert str(refusal.value).split("\n") == [
        "--set training.markets=0: training.markets: must be greater than or equal to 1 (got 0)",
        f"{path}: training.budgt: unknown key (did you mean budget?)",
        "--set evaluation.salvage=2: evaluation.salvage: must be less than or equal to 1 (got 2)",
    ]
    with pytest.raises(UserError, match=r"^--set market\.sellers=\[\]: market: sellers must name at least one"):
        read_config(DUOPOLY, ("training.markets=8", "market.sellers=[]"))
