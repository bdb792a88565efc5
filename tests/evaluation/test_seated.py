"""Among the rivals that a configuration seats, and among those of another run: who they are, and what is played."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from market.errors import UserError
from market.spec.models import MarketSpec
from policies.cli.main import main
from policies.common.seeding import row_seed
from policies.config.orders import EvaluateOrder
from policies.config.run import read_config
from policies.evaluation.entrants import find_entrants
from policies.evaluation.line_ups import LEARNED_RIVALS, LineUps
from policies.evaluation.run_sellers import run_sellers
from policies.sellers.rollout import episode_profits
from policies.sellers.rules.level_search import build
from policies.sellers.seated import AS_SEATED, Seated, habits, told_rivals
from policies.training.run import TrainingRun
from tests.helpers.markets import a_market
from tests.helpers.small_run import DUOPOLY
from tests.helpers.untrained_run import untrained_run

FEW = ("evaluation.line_ups=[nash+base_stock]", "evaluation.competitors=[nash+base_stock]")
CUT = "seats.right=constant(price=1.3)+base_stock(level=23)"


@pytest.fixture(name="both", scope="module")
def _both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained_run(tmp_path_factory.mktemp("runs") / "both", *FEW)


@pytest.fixture(name="alone", scope="module")
def _alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained_run(tmp_path_factory.mktemp("runs") / "alone", *FEW, CUT, seed=1)


def evaluated(tmp_path: Path, *arguments: Any) -> list[dict[str, Any]]:
    file = tmp_path / "table.json"
    file.unlink(missing_ok=True)
    assert main(["evaluate", *map(str, arguments), "--episodes", "16", "--json", str(file)]) == 0
    rows: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return [row for row in rows if row["table"] == "comparison"]


def earned(run: Path, seat: int, rivals: Path, episodes: int = 16) -> float:
    """What a run's seller earns a period among the sellers of another, played outside of what is tested."""
    one, others = run_sellers(run), run_sellers(rivals)
    sellers = [(one if k == seat else others).sellers[k] for k in range(2)]
    seed = row_seed(0, "evaluate")
    return float(episode_profits(one.spec, sellers, 10, 1.0, seed=seed, markets=episodes)[:, seat].mean())


def test_sellers_that_learned_together_come_first(
    both: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = evaluated(tmp_path, both)
    assert [(row["seat"], row["line_up"]) for row in rows if row["judged"]] == [
        *(("left", AS_SEATED), ("right", AS_SEATED), ("left", "nash+base_stock"), ("right", "nash+base_stock"))
    ]
    seated = {row["seat"]: row for row in rows if row["judged"] and row.get("rivals")}
    assert {seat: row["rivals"] for seat, row in seated.items()} == {"left": "right (ddpg)", "right": "left (dqn)"}
    for seat, name in enumerate(("left", "right")):
        assert seated[name]["profit"] == pytest.approx(earned(both, seat, both))
    said = capsys.readouterr().out
    assert "left against right (ddpg), as seated" in said and "left against nash+base_stock" in said


def test_fixed_rivals_that_are_seated_come_first_and_say_what_they_do(
    alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = evaluated(tmp_path, alone)
    assert [row["line_up"] for row in rows if row["judged"]] == [AS_SEATED, "nash+base_stock"]
    assert rows[0]["rivals"] == "right (constant(price=1.3)+base_stock(level=23))"
    (first,) = (row["profit"] for row in rows if row["judged"] and row["line_up"] == AS_SEATED)
    assert first == pytest.approx(earned(alone, 0, alone))
    said = capsys.readouterr().out
    assert "right: constant(price=1.3)+base_stock(level=23), posts 1.3, orders up to 23" in said


def test_what_fixed_competitors_do_in_words() -> None:
    seller = {"quality": 4.0, "order_cost": 2.0, "holding_cost": 0.1, "lead_time": 1, "order_up_to": [0, 60]}
    spec = MarketSpec.parse(a_market(seller, seller, price_sensitivity=2.0))
    assert habits(build("constant(price=1.5)+base_stock(level=20)", spec, 0)) == "posts 1.5, orders up to 20"
    assert habits(build("nash+min_max(s=7,S=30)", spec, 0)).endswith("orders up to 30 from 7 on down")
    assert habits(build("undercut+base_stock(level=9)", spec, 0)).startswith("posts about 1.")
    assert habits(build("constant(price=2)+optimal", spec, 0)) == "posts 2"
    (line,) = told_rivals(["a", "b"], {1: build("constant(price=1.5)+base_stock(level=20)", spec, 1)})
    assert line == "b: constant(price=1.5)+base_stock(level=20), posts 1.5, orders up to 20"


def test_rivals_that_do_what_the_line_up_does_are_not_played_twice(tmp_path: Path) -> None:
    run = untrained_run(tmp_path / "run", *FEW, "seats.right=nash+base_stock")
    assert [row["line_up"] for row in evaluated(tmp_path, run) if row["judged"]] == ["nash+base_stock"]


def test_levels_of_competitors_are_searched_against_fixed_rivals(alone: Path) -> None:
    found = find_entrants(EvaluateOrder((alone,)))
    assert found.seated is not None
    line_ups = LineUps(found.config, 0)
    best = line_ups.parse(["nash+base_stock(level=best)"], "test")[0]
    rivals = [build(CUT.partition("=")[2], found.config.market, 1).rules] * 2
    searched = build(best, found.config.market, 0, rivals=rivals)
    assert line_ups.against(best, 0, found.seated).rules == searched.rules
    assert line_ups.settings(0, found.seated).precision == found.config.evaluation.precision


def test_among_rivals_that_learned_intervals_may_be_wider(both: Path) -> None:
    found = find_entrants(EvaluateOrder((both,)))
    assert found.seated is not None and found.seated.rules(0) is None
    settings = LineUps(found.config, 0).settings(0, found.seated)
    assert settings.precision == LEARNED_RIVALS * found.config.evaluation.precision


def test_against_another_runs_sellers(
    both: Path, alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = evaluated(tmp_path, both, "--seller", "left", "--against", alone)
    assert {row["line_up"] for row in rows} == {f"sellers of {alone}"}
    (own,) = (row for row in rows if row["judged"])
    assert own["profit"] == pytest.approx(earned(both, 0, alone))
    assert (
        f"left against right (constant(price=1.3)+base_stock(level=23)), sellers of {alone}" in capsys.readouterr().out
    )
    rows = evaluated(tmp_path, alone, "--against", both)
    (own,) = (row for row in rows if row["judged"])
    assert own["rivals"] == "right (ddpg)" and own["profit"] == pytest.approx(earned(alone, 0, both))
    rows = evaluated(tmp_path, DUOPOLY, "--seller", "nash+min_max", "--seat", "left", "--against", both)
    assert {row["rivals"] for row in rows} == {"right (ddpg)"}


def test_another_runs_sellers_are_adapted_or_refused(both: Path, tmp_path: Path) -> None:
    dear = untrained_run(tmp_path / "dear", *FEW, "market.sellers.right.unit_cost=1.2", "market.customers.rate=30")
    rows = evaluated(tmp_path, both, "--seller", "left", "--against", dear)
    assert {row["rivals"] for row in rows} == {"right (ddpg)"}
    one = read_config(DUOPOLY).market.dump()
    one["sellers"] = one["sellers"][:1]
    shop = untrained_run(tmp_path / "shop", f"market={json.dumps(one)}", "seats={left: dqn}")
    with pytest.raises(UserError, match="its 1 sellers cannot take the 2 seats of duopoly"):
        find_entrants(EvaluateOrder((both,), against=str(shop)))
    with pytest.raises(UserError, match="duopoly has one seller, so there are no rivals"):
        find_entrants(EvaluateOrder((shop,), against=str(both)))
    with pytest.raises(UserError, match="is not a run"):
        find_entrants(EvaluateOrder((both,), against=str(tmp_path)))


def test_several_runs_share_the_rivals_that_are_the_same(alone: Path, both: Path, tmp_path: Path) -> None:
    twin = untrained_run(tmp_path / "twin", *FEW, CUT, seed=2)
    found = find_entrants(EvaluateOrder((alone, twin)))
    assert isinstance(found.seated, Seated) and not any("rivals of its own" in one for one in found.remarks)
    other = untrained_run(tmp_path / "other", *FEW, seed=3)
    found = find_entrants(EvaluateOrder((both, other)))
    assert found.seated is None and any("rivals of its own" in one for one in found.remarks)


@pytest.mark.parametrize(
    ("seats", "rules"),
    [
        ("{left: dqn, right: undercut+base_stock}", "undercut+base_stock"),
        ("{left: dqn}", "nash+base_stock"),
        ("{left: dqn, right: ddpg}", "nash+base_stock"),
    ],
)
def test_policies_are_chosen_among_fixed_rivals_that_are_seated(seats: str, rules: str) -> None:
    """The other seat's line-up, and who sits in it in selection."""
    little = ("training.markets=8", "training.evaluation_episodes=8", "training.budget=4000")
    training = TrainingRun(read_config(DUOPOLY, [*little, *FEW, f"seats={seats}"]), 0, "cpu")
    (label,) = {getattr(seller, "label", "learned") for seller in training.selection.first[1:]}
    assert label == rules
