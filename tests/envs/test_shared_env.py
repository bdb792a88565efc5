"""One policy in all seats through SuperSuit, under Tianshou's stock trainer; and what the environment hands over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from market.envs.supersuit import SharedVectorEnv
from market.errors import UserError
from market.simulation.batch import MarketBatch
from market.simulation.decisions import Decisions, order_quantity
from market.spec.models import MarketSpec
from tests.helpers.documents import blocks, run_block
from tests.helpers.markets import a_market

ROOT = Path(__file__).parents[2]
(SNIPPET,) = (block for block in blocks(ROOT / "market" / "README.md", "python") if "SharedVectorEnv" in block)


def test_tianshous_stock_trainer_trains_one_policy_for_all_seats(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    run_block(SNIPPET)
    assert capsys.readouterr().out.split() == ["250", "updates"]


def test_environments_are_the_seats_of_the_batchs_rows() -> None:
    """Observations, rewards and ends of two episodes, against a MarketBatch of the same seed stepped by hand."""
    seat = {"lead_time": 1, "stock": 6, "holding_cost": 0.05}
    spec, copies, seed = MarketSpec.parse(a_market(seat, seat, horizon=4)), 3, 11
    envs, batch, rng = (
        SharedVectorEnv(spec, copies, seed=seed),
        MarketBatch(spec, copies, seed),
        np.random.default_rng(0),
    )
    batch.reset()
    seen, infos = envs.reset()
    assert len(envs) == 6 and [info["env_id"] for info in infos] == list(range(6))
    encodings = [Decisions(spec, k, "box") for k in range(2)]
    for period in range(1, 9):
        assert np.array_equal(seen, batch.observe().reshape(6, -1))
        action = rng.uniform(-1, 1, (6, 2)).astype(np.float32)
        price, level = np.empty((3, 2)), np.empty((3, 2))
        for k, encoding in enumerate(encodings):
            price[:, k], level[:, k] = encoding.decode(action[k::2])
        batch.step(price, order_quantity(level, batch.state.on_hand, batch.on_order))
        following, reward, terminated, truncated, _ = envs.step(action, np.arange(6))
        assert np.array_equal(following, batch.observe().reshape(6, -1))
        assert reward == pytest.approx(batch.reward.ravel(), rel=1e-6) and not terminated.any()
        assert (truncated == (period % 4 == 0)).all()
        seen = following
        if truncated.any():
            batch.reset()
            seen, _ = envs.reset(np.flatnonzero(truncated))
    envs.close()


def test_seats_of_a_market_step_together() -> None:
    envs = SharedVectorEnv(MarketSpec.parse(a_market({"stock": 5}, {"stock": 5})), 2)
    envs.reset()
    with pytest.raises(UserError, match="all 4 environments step together, in order; got 2"):
        envs.step(np.zeros((2, 2)), [0, 1])
