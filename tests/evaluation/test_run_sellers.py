"""Mixtures of ``psro`` runs, judged from the run's folder by every command that judges a run."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from rich.console import Console

from market.errors import UserError
from market.metrics.summary import episode_profit
from market.state import Floats
from policies.cli.main import main
from policies.common.progress import unseen as quiet
from policies.common.seeding import row_seed
from policies.config.orders import EvaluateOrder
from policies.evaluation.entrants import find_entrants
from policies.evaluation.evaluate import evaluate
from policies.evaluation.line_ups import LineUps
from policies.evaluation.run_sellers import SavedMixture, pack, run_sellers, saved_policies, unpack
from policies.sellers.mixture import MixtureSeller
from policies.sellers.protocol import Seller
from policies.sellers.rollout import play
from policies.studies.deviate.run import deviate
from policies.studies.tournament.run import tournament, tournament_summary
from tests.helpers.shared import once
from tests.helpers.small_run import small_run, train_small

PSRO = ("selfplay={mode: psro, rounds: 2, episodes: 8}",)


def trained() -> Path:
    """A run with a pool of random prices and two responses a seat; copied before it is changed."""
    return once("psro", _train_psro) / "psro"


def _train_psro(runs: Path) -> None:
    train_small(runs, "psro", changes=PSRO)


@pytest.fixture(name="run")
def _run(tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained(), tmp_path / "psro"))


def weigh(run: Path, seller: str, *weights: float) -> list[dict[str, Any]]:
    """Give the members of a seller's mixture other weights; the members."""
    content = json.loads((run / "psro.json").read_text())
    for member, weight in zip(content["mixtures"][seller], weights, strict=True):
        member["weight"] = weight
    (run / "psro.json").write_text(json.dumps(content))
    return list(content["mixtures"][seller])


def mixture(run: Path, seller: str) -> SavedMixture:
    """The seller's mixture as it comes from the folder."""
    return cast(SavedMixture, saved_policies(run, "mixture")[seller])


def silent() -> Console:
    return Console(file=io.StringIO(), width=130)


def rows(run: Path, checkpoint: str, **order: Any) -> list[dict[str, Any]]:
    """The table of an evaluation of the left seller, with one name for it."""
    path = run / f"{checkpoint}.json"
    path.unlink(missing_ok=True)
    evaluate(run, seller="left", episodes=8, checkpoint=checkpoint, json=path, against="nash+base_stock", **order)
    names = {"left (dqn mixture)": "left (dqn)"}
    return [row | {"policy": names.get(row["policy"], row["policy"])} for row in json.loads(path.read_text())]


# ------------------------------------------------------------------------------------------------ the figures


@pytest.mark.parametrize("how", [{}, {"seat": "right"}, {"stress": True}, {"changes": ("market.customers.rate=30",)}])
def test_all_weight_on_one_member_is_that_member(how: dict[str, Any], run: Path) -> None:
    """In its seat, in another, under stress and in a changed market, to the bit."""
    members = weigh(run, "left", 0, 0, 1)
    shutil.copy(run / members[2]["file"], run / "checkpoints" / "left.best.pt")
    mixed, alone = rows(run, "mixture", **how), rows(run, "best", **how)
    assert mixed == alone and any(row["policy"] == "left (dqn)" for row in mixed)
    weigh(run, "left", 1, 0, 0)
    assert rows(run, "mixture", **how) != mixed


def profits(run: Path, checkpoint: str, episodes: int) -> Floats:
    """Of the left seller against Nash prices, by episode."""
    found = find_entrants(EvaluateOrder((run,), seller="left", checkpoint=checkpoint))
    judged, sellers = LineUps(found.config, 0), {name: cast(Seller, one) for name, one in found.seats[0].items()}
    (line_up,) = judged.chosen("nash+base_stock")
    (own,) = [one for one in judged.compare(0, sellers, line_up, episodes, quiet).results if one.entrant]
    return own.profit


def test_a_mixture_of_two_earns_what_they_earn_weighted(run: Path) -> None:
    """Every episode is one member's, on the same customers; the mean is the weighted one within its standard error."""
    episodes, weight = 400, 0.3
    members = weigh(run, "left", weight, 0, 1 - weight)
    mixed = profits(run, "mixture", episodes)
    assert np.array_equal(mixed, profits(run, "mixture", episodes))
    weigh(run, "left", 1, 0, 0)
    rules = profits(run, "mixture", episodes)
    shutil.copy(run / members[2]["file"], run / "checkpoints" / "left.best.pt")
    response = profits(run, "best", episodes)
    assert (response != rules).all() and ((mixed == rules) | (mixed == response)).all()
    assert (mixed == rules).mean() == pytest.approx(weight, abs=4 * np.sqrt(weight * (1 - weight) / episodes))
    paired = mixed - (weight * rules + (1 - weight) * response)
    assert abs(paired.mean()) < 4 * paired.std() / np.sqrt(episodes)


def test_what_is_loaded_earns_what_training_logged(run: Path) -> None:
    """Every line-up of the empirical game is played again, by the sellers as they come from the folder."""
    content, config = json.loads((run / "psro.json").read_text()), run_sellers(run).config
    for name in ("left", "right"):
        logged = content["rounds"][-1]["weights"][name].values()
        assert [part.weight for part in mixture(run, name).parts] == [weight for weight in logged if weight > 0]
    settings, seed = config.evaluation, row_seed(run_sellers(run).seed, "select")
    pool: list[list[MixtureSeller]] = [[], []]
    for seat, name in enumerate(("left", "right")):
        for k in range(3):
            weigh(run, name, *np.eye(3)[k])
            pool[seat].append(mixture(run, name).sit(config.market))
    for i, one in enumerate(pool[0]):
        for j, other in enumerate(pool[1]):
            ledger = play(config.market, [one, other], markets=8, seed=seed)
            profit = episode_profit(ledger, config.market, settings.warm_up, settings.salvage).mean(axis=0)
            profit /= config.market.horizon - settings.warm_up
            assert profit.tolist() == [content["payoffs"][0][i][j], content["payoffs"][1][i][j]]


# ------------------------------------------------------------------------------------------------ other commands


def test_a_mixture_takes_part_in_a_tournament(run: Path) -> None:
    """Against rules it earns there what evaluation says; the folder keeps all that it needs."""
    weigh(run, "left", 0.3, 0, 0.7)
    entries, given = (str(run), "nash+base_stock"), {"episodes": 64, "checkpoint": "mixture", "processes": 1}
    folder = tournament(entries, runs=run.parent, **given).folder
    facts = tournament_summary(folder)
    learned = [one for one in facts["policies"] if one["kind"] == "learned"]
    assert [one["label"] for one in learned] == ["psro/left (dqn mixture)", "psro/right (ddpg mixture)"]
    assert all(one["mixture"] for one in learned)
    payoffs = facts["payoffs"]["left"]
    at = payoffs["policies"].index("psro/left (dqn mixture)"), payoffs["rivals"].index("nash+base_stock")
    assert payoffs["mean"][at[0]][at[1]] == pytest.approx(profits(run, "mixture", 64).mean(), rel=1e-12)
    assert sorted(path.name for path in (folder / "sellers").iterdir()) == ["1.zip", "2.zip"]
    assert tournament(entries, runs=run.parent, **given).folder == folder
    weigh(run, "left", 0.4, 0, 0.6)
    with pytest.raises(UserError, match="is another tournament.*digest"):
        tournament(entries, runs=run.parent, name=folder.name, **given)


def test_a_packed_mixture_is_the_same_one(run: Path) -> None:
    weigh(run, "left", 0.3, 0, 0.7)
    saved = mixture(run, "left")
    content = pack(saved)
    again = unpack(content, "1.zip")
    with pytest.raises(FileNotFoundError):
        pack(again)  # its files are gone, what they held is in memory
    spec = saved.market
    rival = run_sellers(run).sellers[1]
    both = [play(spec, [one.sit(spec), rival], markets=40)["profit"] for one in (saved, again)]
    assert np.array_equal(*both) and content == pack(saved)
    for harm in (content[:200], b"no zip", content.replace(b"home.pt", b"hume.pt")):
        with pytest.raises(UserError):
            unpack(harm, "1.zip")


def test_a_mixture_deviates_and_its_twin_has_the_same_member(run: Path) -> None:
    """Rivals that draw one of two constant prices react to nothing: a twin with another draw would differ."""
    content = json.loads((run / "psro.json").read_text())
    prices = [{"rules": f"constant(price={price})+base_stock", "weight": 0.5} for price in (1.5, 1.9)]
    content["mixtures"] = {"left": prices, "right": prices}
    (run / "psro.json").write_text(json.dumps(content))
    found = deviate(run, seller="left", to="price=1.6", periods=4, episodes=64, checkpoint="mixture")
    assert np.array_equal(found.mean["price"][:, 1], np.zeros(5)) and np.array_equal(
        found.mean["price"][1:], np.zeros((4, 2))
    )
    assert -0.3 < found.mean["price"][0, 0] < 0.1 and found.half["price"][0, 0] > 0


# ------------------------------------------------------------------------------------------------ refusals


COMMANDS: dict[str, tuple[str, ...]] = {
    "evaluate": (),
    "tournament": ("nash+base_stock",),
    "deviate": ("--seller", "left"),
    "exploit": (),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_run_of_another_mode_is_refused(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = small_run()
    assert main([command, str(run), *COMMANDS[command], "--checkpoint", "mixture"]) == 2
    said = capsys.readouterr().err
    assert f"{run}: has no mixture, its selfplay is independent; a run with selfplay: psro ends with one" in said


def remove(run: Path) -> None:
    (run / "psro.json").unlink()


def spoil(run: Path) -> None:
    (run / "psro.json").write_text('{"mixtures": 3}')


def change(**entry: Any) -> Callable[[Path], None]:
    def harm(run: Path) -> None:
        content = json.loads((run / "psro.json").read_text())
        content["mixtures"]["left"][2] = {"weight": 1.0} | entry
        (run / "psro.json").write_text(json.dumps(content))

    return harm


def lose(run: Path) -> None:
    for path in (run / "pool").iterdir():
        path.unlink()


def borrow(run: Path) -> None:
    (file,) = list((run / "pool").glob("right.*.pt"))[:1]
    change(file=f"pool/{file.name}")(run)


REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (remove, r"psro\.json: is missing or damaged: it holds no mixture of left"),
    "spoilt": (spoil, r"psro\.json: is missing or damaged"),
    "no weight": (lambda run: weigh(run, "left", 0, 0, 0), "mixtures.left: no member has a weight above 0"),
    "negative": (change(rules="nash", weight=-1), r"mixtures\.left\.2\.weight: must be greater than or equal to 0"),
    "neither": (change(), r"mixtures\.left\.2: must have either file or rules"),
    "foreign rules": (change(rules="magic"), r"mixtures\.left\.2: rules\.pricing: unknown rule 'magic'"),
    "outside": (
        change(file="pool/../checkpoints/left.best.pt"),
        r"mixtures\.left\.2: 'pool/\.\./.* is not the name of a file",
    ),
    "another's": (borrow, r"mixtures\.left\.2: pool/right\.\d+\.pt is a policy of right"),
    "lost": (lose, r"pool/left\.\d+\.pt: cannot be read"),
}


@pytest.mark.parametrize("harm", REFUSED)
def test_a_damaged_mixture_is_refused(harm: str, run: Path) -> None:
    damage, said = REFUSED[harm]
    damage(run)
    with pytest.raises(UserError, match=said):
        saved_policies(run, "mixture")
