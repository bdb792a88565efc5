"""Stress tests: each scenario is what its name says, against closed forms; and what the table tells."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from market.demand.equilibrium import reward_scales
from market.demand.logit import Logit, profits
from market.errors import UserError
from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec
from market.state import Floats
from policies.common.seeding import row_seed
from policies.config.run import RunConfig, read_config
from policies.evaluation.compare import compare
from policies.evaluation.scenarios import UNCHANGED, Absent, pinned, scenarios
from policies.evaluation.stress import Stress, figures
from policies.sellers.protocol import Memory, Seller, View, look
from policies.sellers.rollout import play
from policies.sellers.rules.level_search import build
from policies.storage.run_folder import open_run, saved_sellers
from tests.helpers.small_run import DUOPOLY, ROOT, small_run

a_run = pytest.fixture(scope="session", name="a_run")(small_run)
FIXED = "constant(price=1.8)+base_stock(level=18)"
SHORT = ["market.horizon=30"]


def small(*changes: str) -> RunConfig:
    return read_config(DUOPOLY, [*SHORT, *changes])


def stressed(
    config: RunConfig,
    entrants: Mapping[str, Seller],
    rivals: list[Seller],
    seat: int = 0,
    width: int = 130,
    **more: Any,
) -> tuple[dict[tuple[str, str], dict[str, Any]], str]:
    """The rows by scenario and policy, and what was printed."""
    text = io.StringIO()
    options = {"seed": 0, "episodes": 32} | more
    rows = Stress(config, seat, rivals, **options).run(entrants, Console(file=text, width=width))
    return {(row["shift"], row["policy"]): row for row in rows}, text.getvalue()


def fixed(config: RunConfig, rules: str = FIXED) -> list[Seller]:
    return [build(rules, config.market, seat) for seat in range(len(config.market.sellers))]


# ------------------------------------------------------------------------------------------------ scenarios


def test_every_shift_changes_one_thing() -> None:
    spec = small().market
    found = {scenario.name: scenario.market for scenario in scenarios(spec, 0, warm_up=10)}
    base = found[UNCHANGED]
    assert base is not None
    assert list(found) == [
        UNCHANGED,
        "demand +30 %",
        "demand -30 %",
        "price sensitivity +25 %",
        "price sensitivity -25 %",
        "lead time +1",
        "unit cost +10 %",
        "demand doubled for 3 days",
        "demand halved for 3 days",
        "right leaves",
    ]
    changes = {name: differences(base.dump(), market.dump()) for name, market in found.items() if market}
    surge = {"start": 18, "length": 3}
    assert changes == {
        UNCHANGED: {},
        "demand +30 %": {"customers.rate": 26},
        "demand -30 %": {"customers.rate": 14},
        "price sensitivity +25 %": {"price_sensitivity": 2.5},
        "price sensitivity -25 %": {"price_sensitivity": 1.5},
        "lead time +1": {"sellers.0.lead_time": 2, "sellers.1.lead_time": 2},
        "unit cost +10 %": {"sellers.0.unit_cost": 1.1, "sellers.1.unit_cost": 1.1},
        "demand doubled for 3 days": {"customers.surges": [surge | {"factor": 2}]},
        "demand halved for 3 days": {"customers.surges": [surge | {"factor": 0.5}]},
        "right leaves": {"sellers.1.quality": -100, "sellers.1.stock": 0, "sellers.1.start_price": 3},
    }


def differences(one: Any, other: Any, path: str = "") -> dict[str, Any]:
    """Key paths at which plain data differ, with the other's value."""
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        one, other = (dict(enumerate(part)) for part in (one, other))
    if not (isinstance(one, dict) and isinstance(other, dict)):
        same = one == pytest.approx(other) if isinstance(one, float) else one == other
        return {} if same else {path.removeprefix("."): other}
    found: dict[str, Any] = {}
    for key in {**one, **other}:
        found |= differences(one.get(key), other.get(key), f"{path}.{key}")
    return found


def test_reward_scales_are_those_of_the_unchanged_market() -> None:
    spec = small().market
    for scenario in scenarios(spec, 1):
        assert scenario.market is not None
        assert [seller.reward_scale for seller in scenario.market.sellers] == reward_scales(spec).tolist()
    assert pinned(pinned(spec)) == pinned(spec)


def test_a_surge_of_the_market_stays_beside_the_shock() -> None:
    spec = small("market.customers.surges=[{start: 1, factor: 3}]").market
    doubled = next(scenario.market for scenario in scenarios(spec, 0) if "doubled" in scenario.name)
    assert doubled is not None and [surge.factor for surge in doubled.customers.surges] == [3, 2]


def test_shocks_fit_into_short_episodes() -> None:
    names = [scenario.name for scenario in scenarios(small("market.horizon=12").market, 0, warm_up=10)]
    assert "demand doubled for 2 days" in names


def test_a_shift_that_cannot_be_says_why() -> None:
    spec = small("market.sellers.left.lead_time=64").market
    late = next(scenario for scenario in scenarios(spec, 0) if scenario.name == "lead time +1")
    assert late.market is None and late.problem.startswith("market.sellers.0.lead_time: must be less than or equal")


def test_who_has_left_sells_nothing_and_is_seen_so() -> None:
    spec = small().market
    gone = next(scenario for scenario in scenarios(spec, 0) if scenario.name == "right leaves")
    assert gone.market is not None and gone.absent == 1
    batch = MarketBatch(gone.market, 8)
    batch.reset()
    view = look(batch, 0, batch.observe())
    assert view.rivals_price is not None and (view.rivals_price == 3).all()
    assert view.rivals_in_stock is not None and not view.rivals_in_stock.any()
    ledger = play(gone.market, [build(FIXED, spec, 0), Absent(gone.market, 1)], markets=8)
    assert ledger["sold"][..., 1].sum() == 0 and ledger["lost"][..., 1].sum() == 0
    assert (ledger["price"][..., 1] == 3).all() and ledger["sold"][..., 0].sum() > 0


def test_feature_weeks_of_the_others_are_the_same_when_one_leaves() -> None:
    spec = read_config(ROOT / "configs" / "orange_juice.yaml", SHORT).market
    found = [scenario.market for scenario in scenarios(spec, 2) if scenario.name in (UNCHANGED, "dominicks leaves")]
    tapes = []
    for market in found:
        assert market is not None
        batch = MarketBatch(market, 4)
        batch.reset()
        tapes.append(batch.tape)
    assert np.array_equal(tapes[0].event, tapes[1].event) and np.array_equal(tapes[0].customers, tapes[1].customers)


# ------------------------------------------------------------------------------------------------ figures


def test_without_stock_and_chance_every_figure_is_known() -> None:
    """Constant prices in the fluid limit: profit is size (p - c) s, worked out by theory's own shares."""
    config = read_config(ROOT / "configs" / "calvano.yaml", [*SHORT, "market.customers.mode=expected"])
    spec, price = config.market, np.array([1.6, 1.7])
    sellers = [build(f"constant(price={p})", spec, seat) for seat, p in enumerate(price)]
    rows, _ = stressed(config, {"a": sellers[0]}, sellers, episodes=2)
    base = profits(Logit.of(spec), price)[0]

    def profit(**changes: Any) -> float:
        data = spec.dump()
        data["price_sensitivity"] *= changes.get("sensitivity", 1)
        for seller in data["sellers"]:
            seller["unit_cost"] *= changes.get("cost", 1)
        if "alone" in changes:
            data["sellers"] = data["sellers"][:1]
        return float(profits(Logit.of(MarketSpec.parse(data)), price[: len(data["sellers"])])[0])

    expected = {
        UNCHANGED: base,
        "demand +30 %": 1.3 * base,
        "demand -30 %": 0.7 * base,
        "price sensitivity +25 %": profit(sensitivity=1.25),
        "price sensitivity -25 %": profit(sensitivity=0.75),
        "unit cost +10 %": profit(cost=1.1),
        "demand doubled for 3 periods": base * 23 / 20,
        "demand halved for 3 periods": base * 18.5 / 20,
        "second leaves": profit(alone=True),
    }
    assert {scenario for scenario, _ in rows} == expected.keys()
    for scenario, wanted in expected.items():
        row = rows[scenario, "a"]
        assert row["profit"] == pytest.approx(wanted, rel=1e-9), scenario
        assert row["kept"] == pytest.approx(wanted / base, rel=1e-9) and row["kept_half_width"] == 0
        assert row["difference"] == pytest.approx(wanted - base, abs=1e-9)


def test_a_dearer_unit_costs_a_tenth_of_every_unit_sold() -> None:
    """Fixed rules decide the same, so customers do too; with stock at full value goods cost when they are sold."""
    config = small("evaluation.salvage=1.0")
    sellers = fixed(config)
    rows, _ = stressed(config, {"a": sellers[0]}, sellers)
    ledger = play(config.market, sellers, markets=32, seed=row_seed(0, "evaluate"))
    sold = ledger["sold"][config.evaluation.warm_up :, :, 0].mean()
    assert rows["unit cost +10 %", "a"]["difference"] == pytest.approx(-0.1 * sold, rel=1e-9)


def test_the_unchanged_market_is_that_of_an_evaluation() -> None:
    config = small()
    sellers = fixed(config)
    [result] = compare(config.market, 0, {"a": sellers[0]}, ["a"], sellers, config.evaluation, 5, 300)
    rows, _ = stressed(config, {"a": sellers[0]}, sellers, seed=5, episodes=300)
    assert rows[UNCHANGED, "a"]["profit"] == result.mean
    assert rows[UNCHANGED, "a"]["kept"] == 1 and rows[UNCHANGED, "a"]["kept_half_width"] == 0
    again, _ = stressed(config, {"a": sellers[0]}, sellers, seed=5, episodes=300)
    assert again == rows


def test_figures_by_hand() -> None:
    row = figures(np.array([6.0, 9.0, 9.0]), np.array([10.0, 14.0, 16.0]))
    assert (row["profit"], row["kept"]) == (8, pytest.approx(0.6))
    assert row["difference"] == pytest.approx(-16 / 3)
    assert row["kept_half_width"] == pytest.approx(4.302653 * 0.6 / (40 / 3) / np.sqrt(3), rel=1e-6)


def test_a_share_that_every_episode_keeps_is_certain() -> None:
    row = figures(np.array([6.0, 6.6, 7.2]), np.array([10.0, 11.0, 12.0]))
    assert row["kept"] == pytest.approx(0.6) and row["kept_half_width"] == 0


@pytest.mark.parametrize("unchanged", [[-1.0, -2.0, -3.0], [5.0, -5.0, 1.0], None])
def test_nothing_is_kept_of_what_was_not_earned(unchanged: list[float] | None) -> None:
    row = figures(np.ones(3), None if unchanged is None else np.array(unchanged))
    assert row["kept"] is None and row["kept_half_width"] is None and row["profit"] == 1
    assert (row["difference"] is None) == (unchanged is None)


def test_intervals_of_the_share_kept_cover_the_truth() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(10, 2, (2000, 64))
    after = 0.6 * base + rng.normal(0, 1, (2000, 64))
    rows = [figures(*pair) for pair in zip(after, base, strict=True)]
    covered = np.mean([abs(row["kept"] - 0.6) <= row["kept_half_width"] for row in rows])  # type: ignore[operator]
    assert 0.95 - 0.02 < covered < 0.95 + 0.02  # four standard errors


# ------------------------------------------------------------------------------------------------ sellers


class Clumsy:
    """Cannot play a market whose pipeline has two slots."""

    def __init__(self, seller: Seller) -> None:
        self.seller = seller

    def start(self, markets: int) -> Memory:
        return self.seller.start(markets)

    def act(self, view: View, memory: Memory) -> tuple[Floats, Floats, Memory]:
        if view.pipeline.shape[1] > 1:
            raise IndexError("index 1 is out of bounds")
        return self.seller.act(view, memory)


def test_who_cannot_play_a_shift_gets_a_dash_and_a_reason() -> None:
    config = small()
    sellers = fixed(config)
    rows, text = stressed(config, {"able": sellers[0], "clumsy": Clumsy(sellers[0])}, sellers)
    missing = [key for key, row in rows.items() if row["profit"] is None]
    assert missing == [("lead time +1", "clumsy")]
    assert rows["lead time +1", "clumsy"]["reason"] == "clumsy: index 1 is out of bounds"
    assert rows["lead time +1", "able"]["reason"] is None
    assert rows["demand +30 %", "clumsy"]["profit"] == rows["demand +30 %", "able"]["profit"]
    assert "- clumsy, lead time +1: clumsy: index 1 is out of bounds." in text


def test_a_rival_that_cannot_play_is_named() -> None:
    config = small()
    sellers = fixed(config)
    rows, _ = stressed(config, {"able": sellers[0]}, [sellers[0], Clumsy(sellers[1])])
    assert rows["lead time +1", "able"]["reason"] == "right: index 1 is out of bounds"


def test_a_shift_that_is_refused_is_a_dash() -> None:
    config = small("market.customers.rate=8e8", "market.inventory=make_to_order", *MADE)
    sellers = fixed(config, "constant")
    rows, _ = stressed(config, {"a": sellers[0]}, sellers, episodes=2)
    assert rows["demand +30 %", "a"]["profit"] is None
    assert "more than 1e+09" in rows["demand +30 %", "a"]["reason"]
    assert rows["demand -30 %", "a"]["kept"] == pytest.approx(0.7, abs=1e-3)


MADE = [
    f"market.sellers.{name}.{key}={value}"
    for name in ("left", "right")
    for key, value in {
        "order_cost": 0,
        "holding_cost": 0,
        "stockout_cost": 0,
        "lead_time": 0,
        "stock": 0,
        "order_up_to": "[0, 0]",
        "grid": "{prices: 11}",
    }.items()
]


def test_learned_sellers_play_every_scenario(a_run: Path) -> None:
    config = open_run(a_run)
    saved = saved_sellers(a_run)
    sellers: list[Seller] = [saved[name].sit(config.market) for name in ("left", "right")]
    rows, text = stressed(config, {"left (dqn)": sellers[0]}, sellers, episodes=16)
    assert all(row["reason"] is None and np.isfinite(row["profit"]) for row in rows.values())
    late = next(scenario.market for scenario in scenarios(config.market, 0) if scenario.name == "lead time +1")
    assert late is not None
    adapted: list[Seller] = [saved[name].sit(late, adapt=True) for name in ("left", "right")]
    [result] = compare(late, 0, {"left": adapted[0]}, ["left"], adapted, config.evaluation, 0, 16)
    assert rows["lead time +1", "left (dqn)"]["profit"] == result.mean
    assert "nobody is trained" in text


# ------------------------------------------------------------------------------------------------ the table


def test_the_table_shows_every_shift_and_candidate_at_any_width() -> None:
    config = small()
    rules = [FIXED, "nash+base_stock(level=17)", "cost_plus+min_max"]
    entrants = {text: build(text, config.market, 0) for text in rules}
    rows, wide = stressed(config, entrants, fixed(config), width=150)
    _, narrow = stressed(config, entrants, fixed(config), width=60)
    assert wide.count("demand +30 %") == 1 + wide.count("keeps least under demand +30 %")
    tables = narrow.split("keeps least")[0]
    assert tables.count("unchanged market") == 3 and "…" not in narrow and "…" not in wide
    for row in rows.values():
        if row["shift"] != UNCHANGED:
            shown = f"{row['profit']:.4g}  {row['kept']:6.1%} ± {row['kept_half_width']:.1%}"
            assert shown in wide and shown in narrow
    assert "left under stress: profit a day" in wide and "32 episodes of 30 days, the first 10 skipped" in " ".join(
        wide.split()
    )


def test_a_monopoly_has_no_rival_to_leave() -> None:
    config = read_config(ROOT / "configs" / "monopoly.yaml", SHORT)
    sellers = fixed(config, "cost_plus+base_stock")
    rows, text = stressed(config, {"a": sellers[0]}, sellers, episodes=8)
    assert len(rows) == 9 and "leaves" not in text


def test_losses_are_shown_as_money() -> None:
    config = small()
    sellers = [build("constant(price=1.0)+base_stock(level=18)", config.market, 0), *fixed(config)[1:]]
    rows, text = stressed(config, {"giver": sellers[0]}, sellers)
    row = rows["unit cost +10 %", "giver"]
    assert row["kept"] is None and row["difference"] < 0
    assert f"({row['difference']:+.4g} ± {row['difference_half_width']:.2g})" in text


def test_one_episode_has_no_interval() -> None:
    config = small()
    rows, text = stressed(config, {"a": fixed(config)[0]}, fixed(config), episodes=1)
    row = rows["demand +30 %", "a"]
    assert row["profit_half_width"] is None and row["kept_half_width"] is None and row["kept"] > 0
    assert "±" not in text and "nan" not in text


class Interrupted:
    """Presses Ctrl-C when demand has fallen: in the third scenario."""

    def __init__(self, seller: Seller, after: int) -> None:
        self.seller, self.left = seller, after

    def start(self, markets: int) -> Memory:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return self.seller.start(markets)

    def act(self, view: View, memory: Memory) -> tuple[Floats, Floats, Memory]:
        return self.seller.act(view, memory)


def test_an_interrupted_test_shows_the_shifts_that_are_finished() -> None:
    config, text = small(), io.StringIO()
    sellers = fixed(config)
    with pytest.raises(KeyboardInterrupt):
        entrants = {"a": Interrupted(sellers[0], 2)}
        Stress(config, 0, sellers, seed=0, episodes=8).run(entrants, Console(file=text, width=130))
    assert "demand +30 %" in text.getvalue() and "demand -30 %" not in text.getvalue()


def test_the_market_itself_must_be_playable() -> None:
    config = small("market.price_form=log", "market.price_sensitivity=0.5")
    with pytest.raises(UserError, match="reward_scale: must be given"):
        scenarios(config.market, 0)
