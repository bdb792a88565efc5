"""The ``history`` rule, and judging, exact machinery and reports in a market that replays a sales file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from market.demand.history import NOT_OFFERED, replay
from market.errors import UserError
from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec
from market.theory.demand_law import ample_level
from market.theory.optimum import why_not
from market.theory.price_game import price_grids
from policies.cli.main import main
from policies.config.run import Evaluation, RunConfig
from policies.evaluation.line_ups import LineUps
from policies.evaluation.profit_gain import ProfitGain
from policies.evaluation.scenarios import REPLAYED, scenarios
from policies.explain.features import natural_features
from policies.explain.states import greedy_rollout, views
from policies.report.sections import about_market
from policies.sellers.protocol import look
from policies.sellers.rollout import play
from policies.sellers.rules.compose import compose, parse_rules
from policies.studies.exploit.exact import constant_price
from tests.helpers.markets import a_market
from tests.helpers.replayed import MADE, OWN, TWO_BY_TWO, replayed, written

STOCK = {"inventory": "stocked", "customers": {"rate": 100}}
SHOP = {"order_up_to": [0, 300], "holding_cost": 0.1}


def lined_up(spec: MarketSpec, *rules: str) -> list[Any]:
    return [compose(parse_rules(text), spec, seat) for seat, text in enumerate(rules)]


def test_history_posts_the_prices_on_record(tmp_path: Path) -> None:
    spec = replayed(written(tmp_path))
    batch = MarketBatch(spec, 30)
    ledger = play(batch, lined_up(spec, "history", "history"))
    on_record = replay(spec).price[batch.tape.place]
    np.testing.assert_array_equal(ledger["price"], on_record.transpose(1, 0, 2))


def test_sales_of_a_history_are_seen_per_unit_of_its_busiest_market(tmp_path: Path) -> None:
    text = "market,period,seller,price,units,market_size\nx,1,a,2,30,60\nx,2,a,2,30,180\ny,1,a,2,30,40\n"
    batch = MarketBatch(replayed(written(tmp_path, text), {}), 20)  # x has 120 on average, half of it seen as 1
    batch.reset()
    batch.step(batch.recorded, np.zeros((20, 1)))
    at = [feature.name for feature in batch.features].index("own_sold")
    np.testing.assert_allclose(batch.observe()[:, 0, at], 0.5)


def test_a_gap_keeps_the_last_price_and_before_the_first_it_is_the_first(tmp_path: Path) -> None:
    text = "period,seller,price,units\n1,a,1,9\n2,a,2,9\n2,b,3,9\n3,a,4,9\n4,b,5,9\n"
    found = replay(replayed(written(tmp_path, text), horizon=4))
    assert found.price[0].tolist() == [[1, 3], [2, 3], [4, 3], [4, 5]]
    assert (found.utility[0, [0, 2, 3], [1, 1, 0]] == NOT_OFFERED).all() and (found.utility[0, 1] > -9).all()


def test_a_seller_unknown_in_a_whole_market_keeps_its_shelf_price(tmp_path: Path) -> None:
    spec = replayed(written(tmp_path, TWO_BY_TWO.replace("y,2,b,1.0,40,0.4\n", "")))
    assert replay(spec).price[1, :, 1].tolist() == [2.75, 2.75]


def test_one_seat_deviates_while_the_rest_of_history_stands(tmp_path: Path) -> None:
    spec = replayed(written(tmp_path))
    batch, other = MarketBatch(spec, 30), MarketBatch(spec, 30)
    stood, moved = (
        play(b, lined_up(spec, a, "history")) for b, a in ((batch, "history"), (other, "constant(price=4)"))
    )
    assert (moved["price"][..., 1] == stood["price"][..., 1]).all() and (moved["price"][..., 0] == 4).all()
    first = batch.tape.place == 0
    assert (moved["sold"][0, first, 0] < stood["sold"][0, first, 0]).all()
    assert (moved["sold"][0, first, 1] > stood["sold"][0, first, 1]).all()


def test_history_orders_as_its_replenishment_says(tmp_path: Path) -> None:
    spec = replayed(written(tmp_path), SHOP, SHOP, **STOCK)
    ledger = play(
        MarketBatch(spec, 20), lined_up(spec, "history+base_stock(level=60)", "history+base_stock(level=ample)")
    )
    assert (ledger["on_hand"][..., 0] == 60).all() and ledger["lost"][..., 1].max() == 0


def test_the_ample_level_covers_the_busiest_period_of_the_history(tmp_path: Path) -> None:
    spec = replayed(written(tmp_path), SHOP, SHOP, **STOCK)
    utility = float(replay(spec).utility[..., 0].max())
    alone = a_market(OWN | SHOP | {"quality": 2.0 + utility}, horizon=2, customers={"rate": 100})
    assert ample_level(spec, 0, 2.0) == ample_level(MarketSpec.parse(alone), 0, 2.0)


def test_without_a_replenishment_a_history_sells_what_it_sold(tmp_path: Path) -> None:
    spec = replayed(written(tmp_path), SHOP, SHOP, **STOCK)
    sellers = lined_up(spec, "history", "history")
    assert [seller.rules.completed(spec).label for seller in sellers] == ["history+base_stock(level=ample)"] * 2
    assert play(MarketBatch(spec, 40), sellers)["lost"].max() == 0
    cheapest = float(replay(spec).price[..., 0].min())  # a deep cut is not sold out either
    order = sellers[0].act(look(begun := MarketBatch(spec, 1), 0, _seen(begun)), sellers[0].start(1))[1]
    assert order[0] + begun.state.on_hand[0, 0] == ample_level(spec, 0, cheapest)
    assert parse_rules("history+base_stock", "rules", spec).label == "history+base_stock"


def _seen(batch: MarketBatch) -> Any:
    batch.reset()
    return batch.observe()


def test_constant_is_the_mean_on_record_unless_the_shelf_has_a_price(tmp_path: Path) -> None:
    spec = replayed(written(tmp_path))
    assert compose(parse_rules("constant"), spec, 0).usual_price == pytest.approx(replay(spec).price[..., 0].mean())
    shelf = replayed(written(tmp_path), {"start_price": 3.25})
    assert compose(parse_rules("constant"), shelf, 0).usual_price == 3.25


def test_history_needs_a_tape() -> None:
    spec = MarketSpec.parse(a_market({}, {}))
    with pytest.raises(
        UserError, match=r"seats.a.pricing.history: needs the prices .* has no market.tape: \{file: ...\}"
    ):
        compose(parse_rules("history"), spec, 0)


def test_a_view_of_some_rows_keeps_their_prices_on_record(tmp_path: Path) -> None:
    batch = MarketBatch(replayed(written(tmp_path)), 10)
    batch.reset()
    view = look(batch, 1, batch.observe())
    assert view.recorded is not None and view.take(np.array([3, 1])).recorded.tolist() == view.recorded[[3, 1]].tolist()
    plain = MarketBatch(MarketSpec.parse(a_market()), 2)
    plain.reset()
    assert look(plain, 0, plain.observe()).recorded is None and plain.recorded is None


def test_exact_machinery_refuses_a_history_by_name(tmp_path: Path) -> None:
    spec = replayed(written(tmp_path), {"grid": {"prices": 3}}, {"grid": {"prices": 3}})
    assert why_not(spec, 0) == "market.tape replays a history, so that every period is another market"
    with pytest.raises(UserError, match="market.tape replays a history.*tabular sellers remember prices and nothing"):
        price_grids(spec)
    with pytest.raises(UserError, match="history does not post one price for ever"):
        constant_price(spec, 0, parse_rules("history"))


def test_stress_leaves_out_what_a_history_would_undo(tmp_path: Path) -> None:
    spec = replayed(written(tmp_path), SHOP, SHOP, **STOCK)
    left = {scenario.name: scenario.problem for scenario in scenarios(spec, 0)}
    assert left["lead time +1"] == left["unit cost +10 %"] == left["unchanged market"] == ""
    assert left["demand +30 %"] == left["price sensitivity +25 %"] == left["b leaves"] == REPLAYED


def test_a_rival_that_leaves_leaves_every_location() -> None:
    places = [{"name": name, "size": 1.0 + k, "quality": [2.0, 3.0]} for k, name in enumerate("xy")]
    spec = MarketSpec.parse(a_market({}, {}, locations=places))
    gone = next(scenario.market for scenario in scenarios(spec, 0) if scenario.name == "b leaves")
    assert gone is not None and [place.quality for place in gone.locations] == [(2.0, -100.0)] * 2


def test_what_sellers_met_is_shown_to_them_again(tmp_path: Path) -> None:
    places = [{"name": name, "size": 1.0 + k, "quality": [2.0, 2.0]} for k, name in enumerate("xyz")]
    spec = replayed(written(tmp_path), locations=places, season=[0.0, 0.1])
    met = greedy_rollout(spec, lined_up(spec, "history", "history"), episodes=20).states
    shown = np.concatenate([view.recorded for _, view in views(spec, met, 0)])
    np.testing.assert_array_equal(shown, replay(spec).price[met.place, met.period, 0])
    sizes = {feature.name: feature.values for feature in natural_features(spec, met, 0)}
    assert (sizes["size of the location"] == met.place + 1).all()
    assert (sizes["period of the season of 2 (from 1)"] == met.period + 1).all()


def test_a_market_says_what_it_replays(tmp_path: Path) -> None:
    places = [{"name": name, "size": 1.0 + k, "quality": [2.0, 2.0]} for k, name in enumerate("xy")]
    words = about_market(replayed(written(tmp_path), locations=places, season=[0.0, 0.1]))
    assert "one of 2 locations, of size 1 to 2." in words and "replays the sales of sales.csv." in words


@pytest.mark.parametrize(
    ("changes", "line_ups", "competitor"),
    [
        ({}, ["history", "nash"], "history"),
        (
            STOCK | {"sellers": SHOP},
            ["history+base_stock(level=ample)", "nash+base_stock(level=best)"],
            "history+base_stock(level=best)",
        ),
    ],
)
def test_what_was_done_in_fact_comes_first_where_a_history_is_replayed(
    changes: dict[str, Any], line_ups: list[str], competitor: str, tmp_path: Path
) -> None:
    sellers = [changes.pop("sellers", {})] * 2
    config = RunConfig(market=replayed(written(tmp_path), *sellers, **changes), evaluation=Evaluation(warm_up=0))
    found = LineUps(config, 0)
    assert [rules.label for rules in found.chosen(None)] == line_ups
    assert found.chosen("panel")[0].label == line_ups[0]
    assert found.competitors()[0].label == competitor
    drawn = LineUps(config.model_copy(update={"market": config.market.model_copy(update={"tape": None})}), 0)
    listed = [*drawn.chosen(None), *drawn.chosen("panel"), *drawn.competitors()]
    assert listed and not any("history" in rules.label for rules in listed)


def test_line_ups_that_are_given_stay_as_they_are_in_a_history(tmp_path: Path) -> None:
    given = Evaluation(warm_up=0, line_ups=("nash",), panel=("nash",), competitors=("cost_plus",))
    line_ups = LineUps(RunConfig(market=replayed(written(tmp_path)), evaluation=given), 0)
    listed = line_ups.chosen(None), line_ups.chosen("panel"), line_ups.competitors()
    assert [[rules.label for rules in some] for some in listed] == [["nash"], ["nash"], ["cost_plus"]]


def test_a_history_has_no_profit_gain(tmp_path: Path) -> None:
    known = ProfitGain(replayed(written(tmp_path)), Evaluation(warm_up=0))
    assert known.problem.startswith("market.tape replays a history") and known.ends(0, 4) is None
    drawn = ProfitGain(known.spec.model_copy(update={"tape": None}), known.settings)
    assert drawn.problem == "" and drawn.ends(0, 4) is not None


def test_evaluate_judges_history(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path)
    market = a_market(OWN, OWN, horizon=2, tape={"file": "sales.csv"}, **MADE)
    settings = {"warm_up": 0, "competitors": ["history", "constant(price=2)"]}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({"market": market, "evaluation": settings}))
    table = tmp_path / "table.json"
    given = ["evaluate", str(tmp_path / "run.yaml"), "--seller", "history", "--seat", "a", "--against", "history"]
    assert main([*given, "--episodes", "64", "--json", str(table)]) == 0
    rows = {row["policy"]: row for row in json.loads(table.read_text())}
    assert {row["profit_gain"] for row in rows.values()} == {None}
    said = capsys.readouterr()
    assert "No profit gain: market.tape replays a history" in " ".join((said.out + said.err).split())
    # Of x: 50 at 2 and 10 at 1.5; of y: 20 at 3 and 30 at 3.5; cost 1: 27.5 and 57.5 a period.
    assert 27.5 < rows["history"]["profit"] < 57.5
    assert rows["history"]["profit"] != rows["constant(price=2)"]["profit"]
