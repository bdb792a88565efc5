"""The two ends of profit gain: published figures, the same sellers played by hand, and markets that have none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from market.metrics.summary import episode_profit
from policies.config.run import Evaluation, read_config
from policies.evaluation import profit_gain as module
from policies.evaluation.profit_gain import Ends, ProfitGain
from policies.sellers.rollout import episode_profits, play
from policies.sellers.rules.level_search import build
from tests.helpers.small_run import DUOPOLY, ROOT

CONFIGS = ROOT / "configs"


def references(config: str, *changes: str) -> ProfitGain:
    run = read_config(CONFIGS / config, changes)
    return ProfitGain(run.market, run.evaluation)


def test_calvano_by_the_published_prices_and_profits() -> None:
    """Calvano et al. (2020): Nash price 1.4729 and joint 1.9250; profits from their demand, (p - c) q, by hand."""
    known = references("calvano.yaml")
    found = known.ends(0, 4)
    assert found is not None
    for end, price, profits in (("nash", 1.4729, found.nash), ("joint", 1.9250, found.joint)):
        weight = np.exp((2 - price) / 0.25)
        by_hand = (price - 1) * weight / (2 * weight + 1)
        assert known.price[end] == pytest.approx([price] * 2, abs=5e-5)  # type: ignore[index]
        assert profits == pytest.approx(np.full((4, 2), by_hand), rel=1e-4)
    assert found.gain(float(found.nash[0].sum())) == pytest.approx(0, abs=1e-9)
    assert found.gain(float(found.joint[0].sum())) == pytest.approx(1)


@pytest.mark.parametrize(("pricing", "best"), [("nash", 23), ("collusive", 19)])
def test_no_other_level_earns_more_at_the_references_prices(pricing: str, best: int) -> None:
    """On customers that the search never saw."""
    spec = references("duopoly.yaml").spec
    earned = {}
    for level in (best - 6, best - 3, best, best + 3, best + 6):
        sellers = [build(f"{pricing}+base_stock(level={k})", spec, seat) for seat, k in enumerate((level, best))]
        ledger = play(spec, sellers, markets=200, seed=5)
        earned[level] = episode_profit(ledger, spec, 10)[:, 0].mean()
    assert max(earned, key=lambda level: earned[level]) == best


@pytest.mark.parametrize("end", ["nash", "joint"])
def test_stocked_references_are_the_rules_on_the_same_customers(end: str) -> None:
    known = references("duopoly.yaml", "market.horizon=40", "evaluation.salvage=0.5")
    spec = known.spec
    rules = {"nash": "nash+base_stock(level=23)", "joint": "collusive+base_stock(level=19)"}[end]
    ledger = play(spec, [build(rules, spec, seat) for seat in range(2)], markets=16, seed=99)
    found = known.ends(99, 16)
    assert found is not None
    assert np.array_equal(getattr(found, end), episode_profit(ledger, spec, 10, 0.5) / 30)


def test_gain_by_hand() -> None:
    ends = Ends(np.array([[1.0, 2.0], [3.0, 2.0]]), np.array([[4.0, 2.0], [4.0, 2.0]]))
    assert ends.gain(5.0) == 0.5  # Nash 2 + 2, joint 4 + 2
    gains = ends.seat_gains(np.array([3.0, 2.5]))
    assert gains[0] == 0.5 and np.isnan(gains[1])


def test_more_episodes_go_on_from_those_played(monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[int] = []

    def counted(*args: Any, **options: Any) -> Any:
        played.append(options["markets"])
        return episode_profits(*args, **options)

    known, at_once = (references("duopoly.yaml", "market.horizon=12") for _ in range(2))
    whole = at_once.ends(5, 30)
    monkeypatch.setattr(module, "episode_profits", counted)
    first, more, again = known.ends(5, 10), known.ends(5, 30), known.ends(5, 20)
    assert played == [10, 10, 20, 20]
    assert whole and first and more and again
    for end in ("nash", "joint"):
        assert np.array_equal(getattr(more, end), getattr(whole, end))
        assert np.array_equal(getattr(again, end), getattr(whole, end)[:20])
    assert known.ends(6, 10) is not None and played[4:] == [10, 10]


PROBLEMS = {
    ("monopoly.yaml",): "one seller has no rivals",
    ("duopoly.yaml", "market.sellers.left.holding_cost=0"): "holding_cost must be above 0",
    ("duopoly.yaml", "market.outside=none"): "no finite joint-profit prices",
}


@pytest.mark.parametrize("market", PROBLEMS)
def test_markets_without_profit_gain_say_why(market: tuple[str, ...]) -> None:
    known = references(*market)
    assert PROBLEMS[market] in known.problem and known.ends(0, 4) is None


def test_a_brand_that_joint_prices_hardly_help_has_no_gain_of_its_own() -> None:
    """Joint-profit prices of orange juice, without feature weeks, bring the first brand 4 % and the others 6 %."""
    known = references("orange_juice.yaml", *(f"market.sellers.{k}.event_frequency=0" for k in range(3)))
    ends = known.ends(1, 64)
    assert ends is not None
    gains = ends.seat_gains(ends.joint.mean(axis=0))
    assert np.isnan(gains).tolist() == [True, False, False] and gains[1:] == pytest.approx([1, 1])
    assert ends.gain(float(ends.joint.mean(axis=0).sum())) == pytest.approx(1)


def test_long_episodes_are_played_in_small_blocks() -> None:
    spec = read_config(DUOPOLY, ["market.horizon=4000"]).market
    known = ProfitGain(spec, Evaluation())
    assert module.rows_at_once(spec, module.BLOCK) == 2**20 // 8000
    assert known.problem == ""
