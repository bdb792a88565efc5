"""The files in configs/: each builds, and their markets are those that their comments claim."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from market.demand.equilibrium import monopoly_prices, nash_prices
from market.demand.logit import Logit, profits, shares
from market.simulation.batch import MarketBatch
from market.simulation.decisions import Decisions
from market.spec.models import MarketSpec
from policies.config.run import read_config
from policies.evaluation.line_ups import LineUps
from policies.learners.build import learner_name
from policies.learners.default_decisions import with_decisions
from tests.helpers.qualities import solve_qualities

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
DATA = ROOT.parent / "shared" / "data" / "oj_calibration_example.json"
MEAN_PRICE = [1.7358, 2.2412, 2.8705]
MEAN_SHARE = [0.06165, 0.05954, 0.04716]


def orange_juice() -> MarketSpec:
    return read_config(ROOT / "configs" / "orange_juice.yaml").market


def test_the_four_stories_are_there() -> None:
    assert [path.stem for path in CONFIGS] == ["calvano", "duopoly", "monopoly", "orange_juice"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_file_builds(path: Path) -> None:
    config = with_decisions(read_config(path))
    LineUps(config, 0).check()
    batch = MarketBatch(config.market, 2)
    batch.reset()
    assert np.isfinite(batch.observe()).all()
    for seat, name in enumerate(config.market.names):
        learner = learner_name(config.seats[name], f"seats.{name}")
        assert Decisions(config.market, seat, "grid" if learner == "dqn" else "box").space is not None


def test_orange_juice_without_shocks_has_the_issues_prices() -> None:
    spec = orange_juice()
    plain = Logit.of(spec, xi=False, events=False)
    quality = solve_qualities(MEAN_SHARE, MEAN_PRICE, plain)
    sellers = [s.model_copy(update={"quality": q}) for s, q in zip(spec.sellers, quality.tolist(), strict=True)]
    solved = Logit.of(spec.model_copy(update={"sellers": tuple(sellers)}), xi=False, events=False)
    nash, joint = nash_prices(solved), monopoly_prices(solved)
    np.testing.assert_allclose(nash, [1.894, 2.632, 3.209], atol=6e-4)
    np.testing.assert_allclose(joint, [2.237, 2.969, 3.533], atol=6e-4)
    np.testing.assert_allclose(profits(solved, nash), [192, 202, 224], atol=0.6)


def test_orange_juice_has_the_mean_shares_over_shocks_and_feature_weeks() -> None:
    averaged = Logit.of(orange_juice(), xi=True, events=True)
    np.testing.assert_allclose(shares(averaged, MEAN_PRICE), MEAN_SHARE, rtol=2e-3)


def test_orange_juice_shocks_have_the_issues_spread_and_correlation() -> None:
    spec = orange_juice()
    common = spec.demand_shock.common
    spread = np.array([np.hypot(common, seller.xi) for seller in spec.sellers])
    np.testing.assert_allclose(spread, [0.71, 0.56, 0.45], atol=5e-3)
    pairs = [common**2 / (spread[a] * spread[b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert np.mean(pairs) == pytest.approx(0.35, abs=0.02)


@pytest.mark.skipif(not DATA.is_file(), reason="shared/data/oj_calibration_example.json is not beside the repository")
def test_orange_juice_is_the_calibration() -> None:
    data, spec = json.loads(DATA.read_text(encoding="utf-8")), orange_juice()
    fit = data["models"]["nested_log"]
    assert spec.price_form == "log" and spec.customers.rate == data["market_size_per_store_week"]
    assert spec.price_sensitivity == fit["alpha_or_beta"] and spec.nest == fit["rho"]
    assert spec.events is not None and spec.events.effect == pytest.approx(fit["feat"], abs=0.005)
    for seller, brand in zip(spec.sellers, ("dominicks", "minute.maid", "tropicana"), strict=True):
        assert seller.unit_cost == data["real_unit_cost"][brand]
        assert seller.holding_cost == pytest.approx(0.05 * seller.unit_cost, abs=5e-4)
        assert seller.event_frequency == pytest.approx(data["feature_frequency"][brand], abs=0.005)
        spread = np.hypot(fit["xi_sd_chain"][brand], fit["xi_sd_store"][brand])
        assert np.hypot(spec.demand_shock.common, seller.xi) == pytest.approx(spread, abs=5e-3)
    assert list(data["mean_price"].values()) == MEAN_PRICE and list(data["mean_share"].values()) == MEAN_SHARE


def test_calvano_has_the_papers_prices() -> None:
    logit = Logit.of(read_config(ROOT / "configs" / "calvano.yaml").market)
    np.testing.assert_allclose(nash_prices(logit), 1.4729, atol=5e-5)
    np.testing.assert_allclose(monopoly_prices(logit), 1.9250, atol=5e-5)
