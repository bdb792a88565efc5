"""`bazaar update`: who learns on, who is put into force, and what is kept of it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from market.errors import UserError
from market.spec.models import MarketSpec
from market.state import Floats
from policies.config.orders import UpdateOrder
from policies.deployment.run import decide
from policies.evaluation.run_sellers import run_sellers
from policies.evaluation.statistics import mean_interval
from policies.sellers.checkpoint import load_seller
from policies.sellers.protocol import Seller
from policies.sellers.rollout import play
from policies.storage.lineage import in_force, read_lineage
from policies.storage.run_folder import open_run
from policies.updating import run as updating
from policies.updating.data import logged_sales
from policies.updating.judging import Judged, better, earned, recorded_rivals, replayed
from policies.updating.run import UpdateResult, update

LITTLE: dict[str, Any] = {"seller": "left", "budget": 6000, "device": "cpu"}
STATE = {"on_hand": 12, "price": 1.8, "sold": 6, "lost": 0, "rivals": {"right": {"price": 1.75}}}


def updated(run: Path, sales: Path, **more: Any) -> tuple[UpdateResult, str]:
    out = io.StringIO()
    found = update(run, sales=sales, console=Console(file=out, width=120), **LITTLE | more)
    return found, " ".join(out.getvalue().split())


def promoting(monkeypatch: pytest.MonkeyPatch, yes: bool = True) -> None:
    """Whatever the comparison says: a few thousand periods make nobody better for certain."""
    monkeypatch.setattr(updating, "better", lambda market, record: (yes, "as the test has it"))


# ------------------------------------------------------------------------------------------------ who is better


def judged(gap: Floats) -> Judged:
    return Judged("there", 10.0, 10.0 + float(gap.mean()), mean_interval(gap))


AHEAD, BEHIND, LEVEL = (shift + 0.01 * np.arange(-8.0, 9.0) for shift in (1.0, -1.0, 0.0))


@pytest.mark.parametrize(
    ("market", "record", "promoted"),
    [
        (AHEAD, AHEAD, True), (AHEAD, LEVEL, True), (AHEAD, BEHIND, False),
        (LEVEL, AHEAD, False), (BEHIND, AHEAD, False),
    ],
)  # fmt: skip
def test_only_who_is_better_in_the_market_and_not_worse_on_record_takes_over(
    market: Floats, record: Floats, promoted: bool
) -> None:
    found, why = better(judged(market), judged(record))
    assert found is promoted and why


# ------------------------------------------------------------------------------------------------ the command


def test_where_nothing_changed_nothing_is_learned(run: Path, sales: Path) -> None:
    before = (run / "checkpoints" / "left.best.pt").read_bytes()
    found, said = updated(run, sales / "same.csv")
    assert found.verdict == "nothing to learn" and found.folder == run and not found.judged
    assert "they fit the market" in said and "No parameter moved beyond its standard error" in said
    assert "Nothing to learn" in said and "learning" not in said.replace("Nothing to learn", "")
    (entry,) = read_lineage(run).updates
    assert (entry.verdict, entry.name, entry.parent) == ("nothing to learn", None, None)
    assert entry.data["source"] == str(sales / "same.csv") and len(entry.data["sha256"]) == 64
    assert in_force(run, "left") == run and (run / "checkpoints" / "left.best.pt").read_bytes() == before


def test_a_shift_is_found_learned_and_judged(run: Path, sales: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    promoting(monkeypatch)
    found, said = updated(run, sales / "dearer.csv", json=run.parent / "u.json")
    assert "price sensitivity" in [one.name for one in found.refit.moved]  # type: ignore[union-attr]
    assert "Moved beyond their standard errors: price sensitivity" in said and "they do not fit the market" in said
    assert found.folder == run / "updates" / "left-1" == in_force(run, "left") and in_force(run, "right") == run
    market, record = found.judged
    assert market.where == "the market as it is now" and market.gap.value == pytest.approx(
        market.challenger - market.champion
    )
    assert "newest 25 days on record" in record.where and "Promoted: as the test has it." in said
    config = open_run(found.folder)
    assert config.market.price_sensitivity == pytest.approx(3.0, abs=0.5) and config.training.budget == 6000
    assert config.player(0)["begin_from"] == str((run / "checkpoints" / "left.best.pt").resolve())
    assert config.rival(1) is not None and config.rival(1).seller == "right"  # type: ignore[union-attr]
    rows = json.loads((run.parent / "u.json").read_text())
    assert [row["difference"] for row in rows] == [one.gap.value for one in found.judged]
    (entry,) = read_lineage(run).updates
    assert entry.name == "left-1" and entry.found["moved"] and len(entry.found["compared"]) == 2


def test_learning_begins_with_the_champion(run: Path, sales: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first evaluation is of the champion as it is, so that who learned nothing better is no worse."""
    promoting(monkeypatch)
    monkeypatch.setattr(updating, "EVALUATIONS", 1)
    found, _ = updated(run, sales / "dearer.csv", budget=64)
    first, second = (load_seller(folder / "checkpoints" / "left.best.pt") for folder in (run, found.folder))
    assert all(np.array_equal(first.weights[name], second.weights[name]) for name in first.weights)
    market, record = found.judged
    assert market.gap.value == record.gap.value == 0.0


def test_a_second_update_goes_on_from_the_first_and_both_are_taken_back(
    run: Path, sales: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoting(monkeypatch)
    updated(run, sales / "dearer.csv")
    found, _ = updated(run, sales / "same.csv")
    assert found.folder.name == "left-2" and read_lineage(run).updates[1].parent == "left-1"
    assert (run / "updates" / "left-2.csv").is_file() and not (run / "updates" / "left-3.csv").exists()
    assert str(open_run(found.folder).player(0)["begin_from"]).endswith("updates/left-1/checkpoints/left.best.pt")
    assert open_run(found.folder).training.budget == 6000
    for folder in (run / "updates" / "left-1", run):
        back = update(run, seller="left", rollback=True)
        assert (back.verdict, back.folder) == ("rolled back", folder) and in_force(run, "left") == folder
    with pytest.raises(UserError, match="left is the run's own seller: there is nothing to roll back"):
        update(run, seller="left", rollback=True)


def test_who_is_not_better_is_kept_beside_and_the_other_decides_on(
    run: Path, sales: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "state.json").write_text(json.dumps(STATE))
    asked: dict[str, Any] = {"seller": "left", "episodes": 0}
    before = decide(run, tmp_path / "state.json", **asked)
    promoting(monkeypatch, yes=False)
    found, said = updated(run, sales / "dearer.csv")
    assert found.verdict == "kept" and found.folder == run and (run / "updates" / "left-1" / "config.yaml").is_file()
    assert "Kept as it was" in said
    assert decide(run, tmp_path / "state.json", **asked).records() == before.records()  # type: ignore[union-attr]


def test_decisions_are_those_of_the_seller_in_force_within_the_runs_rails(
    run: Path, sales: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    promoting(monkeypatch)
    found, _ = updated(run, sales / "dearer.csv")
    (tmp_path / "state.json").write_text(json.dumps(STATE))
    asked: dict[str, Any] = {"seller": "left", "episodes": 0}
    ours, its = decide(run, tmp_path / "state.json", **asked), decide(found.folder, tmp_path / "state.json", **asked)
    assert ours is not None and its is not None and ours.records() == its.records()
    with (run / "config.yaml").open("a") as file:
        file.write("\nrails:\n  left: {price: [1.21, 1.21]}\n")
    railed = decide(run, tmp_path / "state.json", **asked)
    assert railed is not None and railed.records()[0]["price"] == 1.21


def test_rivals_on_record_post_what_they_posted(run: Path, sales: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    promoting(monkeypatch)
    found, _ = updated(run, sales / "dearer.csv", rivals="recorded")
    config = open_run(found.folder)
    assert (
        config.player(1) == "history" and config.market.tape is not None and config.market.horizon == 75
    )  # 25 are held out
    kept = pd.read_csv(run / "updates" / "left-1.csv")
    assert Path(config.market.tape.file) == (run / "updates" / "left-1.csv").resolve()
    given = pd.read_csv(sales / "dearer.csv")
    assert kept["units"].sum() == given["units"].sum() and kept["price"].tolist() == pytest.approx(
        given["price"].tolist()
    )


def test_a_replay_holds_the_prices_on_record(run: Path) -> None:
    spec = open_run(run).market
    sellers = tuple(one.model_copy(update={"prices_on_file": (0.5, 2.0)}) for one in spec.sellers)
    found = replayed(spec.model_copy(update={"sellers": sellers}), run / "x.csv", 9)
    assert [one.prices for one in found.sellers] == [(0.5, 3.0)] * 2 and found.horizon == 9


def test_the_record_is_judged_over_its_periods_as_they_are_replayed(run: Path, sales: Path) -> None:
    """Worked out by hand for a seller that posts what it posted: it earns its margin on what was sold, but for counting."""
    spec = replayed(open_run(run).market, sales / "same.csv", 100)
    rivals = recorded_rivals(run_sellers(run), spec)
    found, rows = earned(spec, rivals, 0, 7), pd.read_csv(sales / "same.csv").query("seller == 'left'")
    own = spec.sellers[0]
    margin = ((rows["price"] - own.unit_cost) * rows["units"]).to_numpy()
    assert found.shape == (100,)
    costs = margin - found  # holding, orders, stockouts: what is left
    assert costs.mean() == pytest.approx(_costs(spec, rivals), abs=0.02 * margin.mean())
    assert np.corrcoef(found, margin)[0, 1] > 0.99


def _costs(spec: MarketSpec, rivals: list[Seller]) -> float:
    ledger = play(spec, rivals, markets=64, seed=1)
    return float(sum(ledger[name][:, :, 0].mean() for name in ("holding_cost", "order_cost", "stockout_cost")))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "one of --sales, --db and --rollback says what to do; none given"),
        ({"sales": "x.csv", "rollback": True}, "--sales and --rollback given"),
        ({"sales": "x.csv", "force": ("nosuch",)}, "--force: must be of fractions"),
        ({"db": "x.db", "periods": "3:"}, "--periods: is about a sales file: it goes with --sales"),
        ({"sales": "x.csv", "rivals": "old"}, "--rivals: must be current or recorded"),
    ],
)
def test_orders_that_contradict_themselves_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        UpdateOrder(run="run", **given)


def test_what_cannot_be_learned_from_leaves_all_as_it_was(run: Path, sales: Path, tmp_path: Path) -> None:
    few = pd.read_csv(sales / "same.csv").head(16)
    few.to_csv(tmp_path / "few.csv", index=False)
    with pytest.raises(UserError, match="holds 8 periods: 12 are needed at least, and more than the 4 held out"):
        updated(run, tmp_path / "few.csv")
    with pytest.raises(UserError, match="--seller: the run's trained sellers are left, right"):
        update(run, sales=sales / "same.csv")
    with pytest.raises(UserError, match=r"few.csv: has no outcome|cannot be opened as a decision log"):
        update(run, db=str(tmp_path / "few.csv"), seller="left")
    assert in_force(run, "left") == run and read_lineage(run).updates == ()
    assert [path.name for path in (run / "updates").iterdir()] == ["lock"]


# ------------------------------------------------------------------------------------------------ from a log


@pytest.fixture(name="log")
def _log(run: Path, sales: Path, tmp_path: Path) -> str:
    """What was decided and sold, told day by day; of every fifth decision nobody told what came of it."""
    pytest.importorskip("sqlalchemy", reason="the extra serve is not installed")
    from policies.serving.log import DecisionLog, Request, url_of

    db = str(tmp_path / "decisions.db")
    log, rows = DecisionLog(url_of(db)), pd.read_csv(sales / "dearer.csv")
    for day, both in rows.groupby("period"):
        left, right = (both[both["seller"] == name].iloc[0] for name in ("left", "right"))
        answer = {"price": float(left["price"]), "order": 5.0, "by": "policy"}
        (kept,) = log.add(
            "left", str(run.resolve()), Request(None, "0"), [STATE | {"period": 3 + int(str(day))}], [answer]
        )
        if int(str(day)) % 5 == 4:
            continue
        rivals = {"right": {"price": float(right["price"]), "sold": float(right["units"])}}
        outcome = {"sold": float(left["units"]) - 1, "lost": 1.0, "rivals": rivals}
        log.settle("left", str(run.resolve()), {kept["decision"]: outcome})
    log.close()
    return db


def test_a_log_tells_what_a_sales_file_does(run: Path, sales: Path, log: str) -> None:
    rows, phase = logged_sales(log, run, "left", open_run(run).market)
    given = pd.read_csv(sales / "dearer.csv")
    given = given[given["period"] % 5 != 4].assign(period=given["period"] + 3)
    found = pd.DataFrame(rows)
    assert phase == 3 and set(found["market"]) == {"all"}
    for name in ("period", "seller", "price", "units"):
        assert found[name].tolist() == given[name].tolist()


def test_a_seller_learns_from_its_own_decisions(run: Path, log: str, monkeypatch: pytest.MonkeyPatch) -> None:
    promoting(monkeypatch)
    found = update(run, db=log, **LITTLE)
    assert found.verdict == "promoted" and found.refit is not None and found.refit.newer.phase == 3
    assert "price sensitivity" in [one.name for one in found.refit.moved]
    assert run_sellers(found.folder).spec.names == ["left", "right"]


def test_what_a_log_does_not_tell_is_asked_for(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy", reason="the extra serve is not installed")
    from policies.serving.log import DecisionLog, Request, url_of

    db, spec, home = str(tmp_path / "x.db"), open_run(run).market, str(run.resolve())
    log = DecisionLog(url_of(db))
    (one,) = log.add("left", home, Request(None, "0"), [STATE], [{"price": 2.0, "order": 5.0, "by": "policy"}])
    with pytest.raises(UserError, match="holds no outcome of a decision of left"):
        logged_sales(db, run, "left", spec)
    log.settle("left", home, {one["decision"]: {"sold": 3.0, "rivals": {"right": {"price": 1.8}}}})
    log.close()
    with pytest.raises(
        UserError, match="holds no outcome of a decision of left .* that tells price and sold of all rivals"
    ):
        logged_sales(db, run, "left", spec)
    (two,) = log.add(
        "left", home, Request(None, "1"), [STATE | {"date": "2024-01-17"}], [{"price": 2.1, "by": "policy"}]
    )
    log.settle("left", home, {two["decision"]: {"sold": 4.0, "rivals": {"right": {"price": 1.7, "sold": 6.0}}}})
    rows, phase = logged_sales(db, run, "left", spec)  # what is told in half is left out
    assert [(row["period"], row["seller"], row["units"]) for row in rows] == [(1, "left", 4.0), (1, "right", 6.0)]
    assert phase is None  # not all states tell when
    log.close()
