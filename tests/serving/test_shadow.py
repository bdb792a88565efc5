"""`bazaar shadow`: what it says of a log is what stands there, and what it plays on is the market of the run."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from rich.console import Console

from market.errors import UserError
from policies import shadow
from policies.deployment.decider import Decider
from policies.deployment.outlook import outlook
from policies.serving.app import application
from policies.serving.desk import Desk
from policies.serving.log import DecisionLog, Request
from tests.serving.conftest import STATE

RULE = "nash+base_stock"


def logged(folder: Path, run: Path, pairs: list[tuple[float, float, float, float]]) -> Path:
    """A log of decisions with these prices and orders of rule and policy."""
    log = DecisionLog(f"sqlite:///{folder / 'x.db'}")
    answers = []
    for price, other, order, units in pairs:
        shadow = {"price": other, "order": units, "by": "policy" if units else "rule (x): why"}
        answers.append({"price": price, "order": order, "by": f"rule ({RULE}): shadow", "shadow": shadow})
    if pairs:
        log.add("left", str(run), Request(None, "0"), [STATE] * len(pairs), answers)
    log.add(
        "left", str(run), Request(None, "0"), [STATE], [{"price": 9.0, "order": 9.0}]
    )  # a live one counts for nothing
    log.close()
    return folder / "x.db"


def test_agreement_and_differences_are_counted(a_run: Path, tmp_path: Path) -> None:
    db = logged(tmp_path, a_run, [(2.0, 2.019, 5, 5), (2.0, 2.021, 5, 0), (2.0, 1.99, 5, 8), (2.0, 1.0, 1, 2)])
    out = io.StringIO()
    (row,) = shadow(str(db), episodes=0, output=tmp_path / "x.json", console=Console(file=out, width=120)).records()
    assert (row["seller"], row["decisions"], row["same_price"], row["same_order"]) == ("left", 4, 0.5, 0.25)
    assert row["price_gap"] == pytest.approx(np.mean([0.019, 0.021, -0.01, -1.0]))
    assert row["order_gap"] == pytest.approx(np.mean([0, -5, 3, 1])) and row["fallbacks"] == 1
    assert (row["rule"], row["run"]) == (RULE, a_run.name)
    assert "advantage" not in row and (tmp_path / "x.json").is_file()
    said = " ".join(out.getvalue().split())
    assert "same price, to a hundredth, in 50% of decisions; the same order in 25%" in said
    assert "In 1 of them the policy could not decide" in said and "Not played on" in said


def test_what_it_is_worth_is_the_outlooks_from_the_states_logged(a_run: Path, decider: Decider, tmp_path: Path) -> None:
    desk = Desk(Decider(decider.run, 0), "shadow")
    log = DecisionLog(f"sqlite:///{tmp_path / 'x.db'}")
    states = [STATE | {"on_hand": units} for units in (0, 10, 30)]
    with TestClient(application({"left": desk}, log)) as http:
        assert http.post("/v1/sellers/left/decide", json=states).status_code == 200
    log.close()
    (found,) = shadow(str(tmp_path / "x.db"), periods=6, episodes=8, seed=3).sellers
    rule = desk.decider.rule.label
    gaps = [outlook(desk.decider, desk.decided(one), 0, 6, 8, 3 + k).gaps[rule].value for k, one in enumerate(states)]
    assert found.advantage is not None and found.advantage.value == pytest.approx(np.mean(gaps))
    assert found.played == (3, 6) and found.rule == rule


def test_of_policy_and_rule_that_are_one_nothing_is_gained(
    decider: Decider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule in the policy's place."""
    real = Decider.__init__

    def same(self: Decider, *given: Any) -> None:
        real(self, *given)
        self.seller = self.rule

    monkeypatch.setattr(Decider, "__init__", same)
    folder = decider.run.folder
    (found,) = shadow(str(logged(tmp_path, folder, [(1.0, 1.0, 2, 2)] * 3)), periods=8, episodes=8).sellers
    assert found.advantage is not None and found.advantage.value == 0.0 and found.alike == (1.0, 1.0)


def test_what_holds_nothing_in_shadow_is_refused(a_run: Path, tmp_path: Path) -> None:
    db = logged(tmp_path, a_run, [])
    with pytest.raises(UserError, match=r"x\.db: holds no decision in shadow"):
        shadow(str(db))
    (tmp_path / "empty.db").touch()
    with pytest.raises(UserError, match=r"empty\.db: is no decision log"):
        shadow(str(tmp_path / "empty.db"))
    (tmp_path / "other").mkdir()
    moved = str(logged(tmp_path / "other", tmp_path / "gone", [(1.0, 1.0, 1, 1)]))
    with pytest.raises(UserError, match="gone: is not a run's folder"):
        shadow(moved)
    assert shadow(moved, run=a_run, episodes=0).records()[0]["decisions"] == 1
