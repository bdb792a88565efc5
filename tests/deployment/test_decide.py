"""`bazaar decide`: what it decides is what the policy decides in the market, and what it says of it is true."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from rich.console import Console

from market.errors import UserError
from policies import decide
from policies.config.rails import Rails
from policies.deployment.decider import POLICY, Decider
from policies.deployment.fields import PERIOD, Field, Met
from policies.deployment.outlook import SAME, outlook
from policies.deployment.run import decider_in_force
from policies.deployment.states import Given
from policies.evaluation.run_sellers import run_sellers
from policies.networks.architecture import build
from policies.sellers.checkpoint import SavedSeller, load_seller, save_seller
from policies.sellers.rollout import play
from tests.helpers.small_run import small_run
from tests.helpers.untrained_run import untrained_run

a_run = pytest.fixture(scope="session", name="a_run")(small_run)


@pytest.fixture(scope="module", name="decider")
def _decider(a_run: Path) -> Decider:
    return Decider(run_sellers(a_run), 0)


def given_by(decider: Decider, rows: slice | np.ndarray) -> Given:
    """States met in greedy play, as a file would tell them."""
    states = decider.rollout.states.at(rows)
    values = np.stack([field.values(states) for field in decider.fields], 1)
    none = np.full(len(values), np.nan)
    return Given([""] * len(values), values, none, np.zeros(len(values), np.int64), np.arange(len(values)))


def test_decisions_are_those_of_the_policy_in_the_market(decider: Decider) -> None:
    found = decider.decide(given_by(decider, slice(None)))
    np.testing.assert_allclose(found.price, decider.rollout.price[:, 0], rtol=1e-6)
    np.testing.assert_array_equal(found.order, decider.rollout.order[:, 0])
    assert set(found.by) == {POLICY} and not any(found.bound) and not any(found.outside) and not any(found.assumed)
    position = decider.rollout.states.position(0)
    np.testing.assert_array_equal(found.level, position + found.order)


def remembering(saved: SavedSeller) -> SavedSeller:
    """The same seat with a recurrent network of random weights."""
    architecture = saved.architecture.model_copy(update={"cell": "gru", "cell_size": 8, "axes": None, "degree": None})
    with torch.random.fork_rng():
        torch.manual_seed(3)
        weights = {name: 3 * tensor for name, tensor in build(architecture).state_dict().items()}
    return replace(saved, architecture=architecture, weights=weights)


def test_a_seller_that_remembers_is_asked_with_what_happened_before(tmp_path: Path) -> None:
    """The last of four states of an episode: as in play from its first period on, and not as without the other three."""
    run = untrained_run(tmp_path / "gru", "evaluation.warm_up=0")
    for path in (run / "checkpoints").glob("right.*.pt"):
        save_seller(remembering(load_seller(path)))
    decider = Decider(run_sellers(run), 1)
    assert decider.remembers
    states = decider.rollout.states
    rows = np.array(
        [np.flatnonzero((states.episode == e) & (states.period == t))[0] for e in range(40) for t in range(4)]
    )
    alone = given_by(decider, rows)
    found = decider.decide(replace(alone, decision=np.arange(160) // 4))
    np.testing.assert_allclose(found.price, decider.rollout.price[rows[3::4], 1], rtol=1e-6)
    without = decider.decide(given_by(decider, rows[3::4]))
    assert not np.allclose(without.price, found.price)


def test_what_is_missing_is_assumed_or_decided_by_the_rule(a_run: Path, decider: Decider) -> None:
    names = [field.name for field in decider.fields]
    given = given_by(decider, slice(0, 3))
    given.values[0, names.index("lost")] = np.nan
    given.values[1, names.index("price")] = np.nan
    with pytest.raises(UserError, match="state 2: price not given; rails.fallback names rules"):
        decider.decide(given)
    guarded = Decider(decider.run, 0, Rails(fallback="cost_plus+base_stock"))
    found = guarded.decide(given)
    assert found.assumed[0] == ["lost 0"]
    assert found.by[0] == POLICY and found.by[1] == "rule (cost_plus+base_stock): price not given"
    assert found.price[1] == pytest.approx(1.5), "unit cost 1 and half of it"
    assert (found.price[1], found.order[1]) == (found.rule[0][1], found.rule[1][1])


def test_inputs_outside_what_was_met_are_named_and_far_ones_are_the_rules(decider: Decider) -> None:
    names = [field.name for field in decider.fields]
    at, (low, _, high) = names.index("sold"), decider.met.ranges["sold"]
    given = given_by(decider, slice(0, 2))
    given.values[0, at], given.values[1, at] = high + 1, high + 0.6 * (high - low)
    found = Decider(decider.run, 0, Rails(fallback="nash+base_stock")).decide(given)
    assert found.outside[0] == [f"sold {high + 1:.4g} (met {low:.4g} to {high:.4g})"] and found.by[0] == POLICY
    assert found.by[1].startswith("rule (nash+base_stock): sold")
    alone = decider.decide(given)
    assert alone.by == [POLICY, POLICY] and alone.outside == found.outside, "without a fallback it is only said"


def test_another_price_of_a_rival_who_never_moved_is_outside_and_not_far(decider: Decider) -> None:
    fields = {field.name: field for field in decider.fields}
    met = Met(
        {"rivals.right.price": (1.8, 1.8, 1.8), "rivals.right.in_stock": (1.0, 1.0, 1.0), "sold": (0.0, 3.0, 10.0)}
    )
    low, high = decider.spec.sellers[1].prices
    width = (high - low) / 2
    beyond = met.beyond(fields["rivals.right.price"], np.array([1.8, 1.8 + 0.4 * width, 1.8 + 0.6 * width, np.nan]))
    assert beyond == pytest.approx([0, 0.4, 0.6, 0])
    assert 0 < met.beyond(fields["rivals.right.in_stock"], np.array([0.0]))[0] < 0.01
    assert met.beyond(fields["sold"], np.array([16.0])).tolist() == [0.6]


def test_rails_bind_and_are_said(decider: Decider) -> None:
    given = given_by(decider, slice(0, 50))
    free, railed = decider.decide(given), Decider(decider.run, 0, Rails(price=(1.9, 1.95), order=3)).decide(given)
    np.testing.assert_array_equal(railed.price, np.clip(free.price, 1.9, 1.95))
    np.testing.assert_array_equal(railed.order, np.minimum(free.order, 3))
    moved = (railed.price != free.price) | (railed.order != free.order)
    assert [bool(bound) for bound in railed.bound] == moved.tolist() and moved.any()


def test_the_best_fixed_rule_beside_it_is_that_of_the_final_evaluation(a_run: Path, decider: Decider) -> None:
    rows = json.loads((a_run / "evaluation.json").read_text())
    assert decider.rule.label == next(row["best_fixed"] for row in rows if row["seat"] == "left")
    found = decider.decide(given_by(decider, slice(0, 5)))
    assert np.ptp(found.rule[0]) < 1e-9, "it posts one price"


def test_the_outlook_is_paired_and_true_of_what_can_be_worked_out(decider: Decider) -> None:
    """Over 60 periods from a state that was met, the policy's profit is that of greedy play after as many periods."""
    decided = decider.decide(given_by(decider, slice(0, 1)))
    found = outlook(decider, decided, 0, periods=60, episodes=400)
    name, rule = decider.run.players[0].label, decider.rule.label
    assert list(found.profit) == [name, rule, SAME] and list(found.gaps) == [rule, SAME]
    for other in (rule, SAME):
        assert found.gaps[other].value == pytest.approx(found.profit[name].value - found.profit[other].value)
        assert found.gaps[other].half < found.profit[name].half + found.profit[other].half
    again = outlook(decider, decided, 0, periods=60, episodes=400)
    assert again == found
    warm_up, seat = decider.run.config.evaluation.warm_up, decider.spec.sellers[0]
    ledger = play(decider.spec, decider.run.sellers, markets=400)
    stock = (ledger["on_hand_left"] + ledger["on_order"])[:, :, 0]
    gained = seat.unit_cost * (stock[warm_up + 59] - stock[warm_up - 1])
    played = (ledger["profit"][warm_up : warm_up + 60, :, 0].sum(0) + gained) / 60
    error = np.hypot(found.profit[name].half / 1.96, played.std() / 20)
    assert found.profit[name].value == pytest.approx(played.mean(), abs=3 * error)


def test_an_outlook_ends_with_its_episode(decider: Decider) -> None:
    last = np.flatnonzero(decider.rollout.states.period == decider.spec.horizon - 5)[:1]
    decided = decider.decide(given_by(decider, last))
    late = replace(decided, states=replace(decided.states, period=decider.rollout.states.period[last]))
    assert outlook(decider, late, 0, periods=30, episodes=8).periods == 5


def shown(*given: Any, **options: Any) -> str:
    text = io.StringIO()
    decide(*given, console=Console(file=text, width=100), **options)
    return text.getvalue()


def test_the_command_fills_its_own_template(a_run: Path, tmp_path: Path) -> None:
    for name in ("state.yaml", "state.csv"):
        assert decide(a_run, seller="left", template=tmp_path / name) is None
    said = shown(
        a_run, tmp_path / "state.yaml", seller="left", episodes=16, periods=5, explain=True, output=tmp_path / "d.json"
    )
    assert "left: first, decided by left (dqn)" in said and "The next 5 days" in said and "In words: " in said
    (row,) = json.loads((tmp_path / "d.json").read_text())
    found = decide(a_run, tmp_path / "state.csv", seller="left", episodes=0)
    assert found is not None and found.to_frame()["price"].tolist() == [row["price"]] and not found.outlooks


def test_many_states_are_a_line_each(a_run: Path, tmp_path: Path, decider: Decider) -> None:
    given = given_by(decider, slice(0, 30))
    frame = pd.DataFrame(given.values, columns=[field.name for field in decider.fields])
    frame.assign(id=[f"shop {k}" for k in range(30)]).to_csv(tmp_path / "s.csv", index=False)
    said = shown(a_run, tmp_path / "s.csv", seller="left", output=tmp_path / "d.csv")
    assert "30 decisions of left (dqn)" in said and "shop 19" in said and "10 more; -o FILE has all." in said
    written = pd.read_csv(tmp_path / "d.csv")
    np.testing.assert_allclose(written["price"], decider.rollout.price[:30, 0], rtol=1e-6)


def test_rails_come_from_the_configuration_or_a_file(a_run: Path, tmp_path: Path) -> None:
    decide(a_run, seller="left", template=tmp_path / "state.yaml")
    (tmp_path / "rails.yaml").write_text(yaml.safe_dump({"rails": {"left": {"price": [1.25, 1.25]}}}), encoding="utf-8")
    found = decide(a_run, tmp_path / "state.yaml", seller="left", episodes=0, rails=tmp_path / "rails.yaml")
    assert found is not None and found.decided.price.tolist() == [1.25] and found.decided.bound[0]
    (tmp_path / "rails.yaml").write_text("prise: [1, 2]\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"rails.yaml.prise: unknown key \(did you mean price\?\)"):
        decide(a_run, tmp_path / "state.yaml", seller="left", rails=tmp_path / "rails.yaml")


def test_wrong_words_are_refused(a_run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--seller: the run's trained sellers are left, right"):
        decide(a_run, tmp_path / "state.yaml")
    with pytest.raises(UserError, match="arguments are required: STATE"):
        decide(a_run, seller="left")


def test_a_file_of_rails_is_of_one_seller_or_by_seller(a_run: Path, tmp_path: Path) -> None:
    file = tmp_path / "rails.yaml"
    file.write_text("rails:\n  left: {price: [1.2, 1.3], endings: [.25]}")
    assert decider_in_force(a_run, "left", file).rails == Rails(price=(1.2, 1.3), endings=(0.25,))
    assert decider_in_force(a_run, "right", file).rails == Rails()  # named by nobody
    file.write_text("multiple: 6")
    assert decider_in_force(a_run, "right", file).rails == Rails(multiple=6)
    for text, message in (
        ("lefd: {multiple: 6}", "lefd: no seller has this name"),
        ("multple: 6", "yaml.multple: unknown key"),
    ):
        file.write_text(text)
        with pytest.raises(UserError, match=message) as told:
            decider_in_force(a_run, "left", file)
        assert str(told.value).count("rails.yaml") == 1


def test_what_a_decision_is_worth_counts_the_cost_that_is_given(decider: Decider) -> None:
    """A unit that costs 2 in place of 1: less by what was ordered, and stock worth as much more."""
    given = given_by(decider, slice(0, 1))
    usual = outlook(decider, decider.decide(given), 0, 20, 64)
    dear = outlook(decider, decider.decide(replace(given, cost=np.array([2.0]))), 0, 20, 64)
    sold = [(usual.profit[name].value - dear.profit[name].value) for name in usual.profit]
    assert all(3 < units < 12 for units in sold)  # units sold a period: what was ordered less what stock has gained


def test_a_state_outside_the_seats_ranges_is_played_on(decider: Decider) -> None:
    given = given_by(decider, slice(0, 1))
    values = given.values.copy()
    for name, value in (("price", 9.0), ("sold", 1e6)):
        values[0, [field.name for field in decider.fields].index(name)] = value
    found = outlook(decider, decider.decide(replace(given, values=values)), 0, 3, 8)
    assert all(np.isfinite(one.value) for one in found.profit.values())


def test_an_example_is_within_what_was_met_as_it_is_written(decider: Decider) -> None:
    met = Met({"x": (1 / 3, 2 / 3, 2 / 3)})
    field = replace(decider.fields[0], name="x", flag=False, reach=1e-3)
    assert met.beyond(field, np.array([0.333333, 0.666667])).tolist() == [0, 0]
    assert (met.beyond(field, np.array([0.3333, 0.6668])) > 0).all()


def test_a_period_of_a_calendar_that_repeats_is_never_outside(
    decider: Decider, monkeypatch: pytest.MonkeyPatch
) -> None:
    period = Field(PERIOD, "days since the calendar's first", ("period", 0, 0))
    monkeypatch.setattr(decider, "fields", [period])
    monkeypatch.setattr(decider, "met", Met({PERIOD: (10.0, 50.0, 99.0)}))
    for season, outside in (((0.1, -0.1), []), ((), ["period 160 (met 10 to 99)"])):
        monkeypatch.setattr(decider, "spec", decider.spec.model_copy(update={"season": season}))
        monkeypatch.setattr("policies.deployment.decider.cycle_of", lambda spec: len(spec.season) or None)
        assert decider._outside(np.array([[160.0]]))[0] == [outside]
