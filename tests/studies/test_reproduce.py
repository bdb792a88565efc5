"""`bazaar reproduce`: networks read off as tables, what is written, what is said, and the figures of the field."""

from __future__ import annotations

import json
from dataclasses import fields
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from rich.console import Console

from market.demand.equilibrium import nash_prices
from market.demand.logit import Logit
from market.errors import UserError
from market.spec.models import MarketSpec
from market.theory.best_response import best_response
from market.theory.price_game import PriceGame
from policies.config.orders import ReproduceOrder
from policies.config.run import read_config
from policies.sellers.rollout import play
from policies.sellers.rules.compose import compose, parse_rules
from policies.studies.calvano import run as module
from policies.studies.calvano.deep import (
    as_strategies,
    deep_config,
    refuse_more_than_prices,
    strategy_table,
    train_pair,
)
from policies.studies.calvano.findings import Contender, Finding, find, path_figures
from policies.studies.calvano.run import reproduce
from policies.studies.calvano.strategies import Strategies
from policies.studies.calvano.tabular_q import TabularOptions, TabularSellers
from policies.studies.calvano.view import draw_impulse, sparkline
from policies.views.format import amount
from tests.helpers.orders import carry_out
from tests.helpers.shared import once

ROOT = Path(__file__).parents[2]
CALVANO = ROOT / "configs" / "calvano.yaml"
SMALL = ("market.sellers.0.grid.prices=4", "market.sellers.1.grid.prices=4", "training.markets=32")
QUICK = SMALL + ("learners.dqn.warm_up=200", "learners.dqn.batch_size=32", "learners.a2c.batch_size=32")


@pytest.fixture(name="no_picture")
def _no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """One test looks for the picture, another at what it shows: drawn for every order it takes a third of the time."""
    monkeypatch.setattr(module, "save_impulse", lambda *given: None)


def told(order: ReproduceOrder, width: int = 140) -> tuple[Path, str]:
    """Carry an order out; the folder and what was printed."""
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    try:
        return carry_out(reproduce, order, console).folder, console.export_text()
    finally:
        console.file.close()


def an_order(runs: Path, **changes: Any) -> ReproduceOrder:
    quick = ReproduceOrder("calvano", sessions=3, seeds=2, budget=2_000, beta=2e-3, changes=QUICK, runs=runs)
    return attrs.evolve(quick, command="typed", **changes)


@cache
def calvano() -> PriceGame:
    return PriceGame.of(MarketSpec.load(CALVANO))


# ------------------------------------------------------------------------------------ networks and rules as tables


def rules_table(rules: str, seat: int) -> Any:
    return strategy_table(compose(parse_rules(rules), calvano().spec, seat), calvano(), seat)


def test_a_rules_table_is_what_the_rule_says() -> None:
    game, logit = calvano(), Logit.of(calvano().spec)
    own, rival = game.index(np.arange(game.states)).T
    assert rules_table("match", 0).tolist() == rival.tolist()
    assert rules_table("match", 1).tolist() == own.tolist()
    nash = np.abs(game.prices[0] - nash_prices(logit)[0]).argmin()
    assert rules_table("nash", 0).tolist() == [nash] * game.states
    best = best_response(logit, game.posted(np.arange(game.states)), 0)
    assert rules_table("best_response", 0).tolist() == np.abs(best[:, None] - game.prices[0]).argmin(axis=1).tolist()
    assert len(np.unique(rules_table("best_response", 0))) > 1


@pytest.mark.parametrize("learner", ["dqn", "a2c"])
def test_a_networks_table_is_what_it_plays_in_the_market(learner: str) -> None:
    from policies.training.run import TrainingRun

    config = deep_config(read_config(CALVANO, QUICK), learner, 0.9, 3_000)
    training = TrainingRun(config, 1, "cpu")
    while training.play.done < 3_000:
        training.play.play_period()
    game = PriceGame.of(config.market)
    tables = np.stack([strategy_table(training.greedy(seat), game, seat) for seat in (0, 1)])
    prices = play(config.market, training.sellers(), periods=12, seed=0)["price"][:, 0]
    index = np.stack([np.abs(prices[:, i, None] - game.prices[i]).argmin(axis=1) for i in (0, 1)], axis=1)
    for now, following in pairwise(index):
        assert tables[:, now @ game.stride].tolist() == following.tolist()
    again = train_pair(config, game, 1, lambda periods: None)
    assert np.array_equal(again, tables)
    assert as_strategies(game, [again, again]).table.shape == (2, 2, 16)


def test_learners_are_given_the_grid_and_the_discount_factor() -> None:
    config = deep_config(
        read_config(CALVANO, ("market.sellers.0.actions=box", "learners.a2c.lr=0.01")), "a2c", 0.35, 777
    )
    assert [seller.actions for seller in config.market.sellers] == ["grid", "grid"]
    assert config.seats == {"first": "a2c", "second": "a2c"} and config.training.budget == 777
    assert config.learners == {"a2c": {"lr": 0.01, "gamma": 0.35}}


@pytest.mark.parametrize("change", ["market.customers.weekly=[1, 2]", "market.customers.mode=sampled"])
def test_networks_that_see_more_than_prices_are_refused(change: str) -> None:
    with pytest.raises(UserError, match="--seeds 0"):
        refuse_more_than_prices(read_config(CALVANO, (change,)).market)


# ------------------------------------------------------------------------------------ the command


def test_everything_is_printed_and_written(tmp_path: Path) -> None:
    folder, text = told(an_order(tmp_path, json=tmp_path / "table.json", name="mine"))
    assert folder == tmp_path / "mine"
    names = {path.name for path in folder.iterdir()}
    tables = {"tabular-0.95.npz", "tabular-0.35.npz", "dqn.npz", "a2c.npz"}
    assert names == tables | {"config.yaml", "run.json", "results.json", "impulse.png"}
    results = json.loads((folder / "results.json").read_text())
    assert results == json.loads((tmp_path / "table.json").read_text())
    assert [row["sellers"] for row in results["findings"]] == ["tabular-0.95", "tabular-0.35", "dqn", "a2c"]
    for row in results["findings"]:
        saved = np.load(folder / f"{row['sellers']}.npz", allow_pickle=False)
        assert saved["greedy"].shape == (row["number"], 2, 16) and saved["prices_0"].shape == (4,)
        assert f"{row['profit_gain']:.3f}" in text
    assert "3 sessions" in text and "2 seeds" in text and "deviator" in text and "expected" in text
    assert "million periods a session" in text and "2,000 seller-periods a seed" in text.replace("\n", " ")
    assert "Calvano et al. (2020) report" not in text  # another market than the paper's has nothing to be compared with
    assert json.loads((folder / "run.json").read_text())["command"] == "typed"


@pytest.mark.usefixtures("no_picture")
def test_the_same_order_gives_the_same_figures(tmp_path: Path) -> None:
    one, other, third = (
        told(an_order(tmp_path, name=name, seeds=1, delta=0.9, seed=seed))[0] / "results.json"
        for name, seed in (("a", 4), ("b", 4), ("c", 5))
    )
    assert one.read_text() == other.read_text() != third.read_text()


@pytest.mark.usefixtures("no_picture")
def test_a_figure_of_one_session_says_so(tmp_path: Path) -> None:
    _, text = told(an_order(tmp_path, sessions=1, seeds=1, delta=0.9))
    assert "one session, so no interval" in text and text.count("one seed, so no interval") == 2
    assert "±" not in text.replace("95 % intervals", "")


@pytest.mark.usefixtures("no_picture")
def test_without_seeds_no_network_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "train_pair", None)
    folder, text = told(an_order(tmp_path, seeds=0, delta=0.9))
    assert "DQN" not in text and not (folder / "dqn.npz").exists()


@pytest.mark.usefixtures("no_picture")
def test_a_narrow_terminal_gets_fewer_columns_and_whole_words(tmp_path: Path) -> None:
    _, text = told(an_order(tmp_path, seeds=0), width=70)
    assert "tabular, δ 0.95" in text and "…" not in text
    assert not [line for line in text.splitlines() if "re-matched Δ" in line and "  " in line.strip()]  # in no head
    assert "re-matched Δ" in text.partition("No room in 70 columns for")[2]


@pytest.mark.usefixtures("no_picture")
def test_an_interruption_shows_and_keeps_what_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*given: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "train_pair", stop)
    console = Console(width=140, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file, pytest.raises(KeyboardInterrupt, match="cut: tabular, δ 0.9$"):
        carry_out(reproduce, an_order(tmp_path, name="cut", delta=0.9), console)
    assert "tabular, δ 0.9" in console.export_text()
    results = json.loads((tmp_path / "cut" / "results.json").read_text())
    assert [row["sellers"] for row in results["findings"]] == ["tabular-0.9"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"what": "klein"}, "klein: unknown experiment; known: calvano"),
        ({"delta": 1.0}, "--delta: must be a number from 0 to below 1"),
        ({"alpha": 0.0}, "--alpha: must be a number between 0 and 1"),
        ({"initial": "one"}, "--initial: must be payoff or zero"),
        ({"sessions": 0}, "--sessions: must be at least 1, got 0"),
        ({"seeds": -1}, "--seeds: must be a whole number >= 0"),
        ({"budget": 0}, "--budget: must be at least 1"),
        ({"sessions": 10**9}, "--sessions: 1000000000 tables of 128 numbers do not fit"),
        ({"config": ROOT / "configs" / "monopoly.yaml", "changes": ()}, "needs two or more"),
        ({"config": ROOT / "configs" / "duopoly.yaml", "changes": ()}, "inventory: make_to_order"),
        ({"changes": ("market.customers.mode=sampled",)}, "use --seeds 0"),
        ({"name": "taken"}, "exists already"),
        ({"json": Path("/nowhere/x.json")}, "the folder /nowhere does not exist"),
    ],
)
def test_mistakes_are_refused_before_a_folder_is_made(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(UserError, match=message.replace("(", r"\(")):
        told(an_order(tmp_path, **changes))
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_the_papers_experiment_alone_has_figures_to_compare_with() -> None:
    assert module._expected(ReproduceOrder("calvano"), TabularOptions()) == ("0.86 ± .02", "0.13 ± .02")
    assert module._expected(ReproduceOrder("calvano", alpha=0.2), TabularOptions(alpha=0.2)) == ("", "")
    assert module._expected(ReproduceOrder("calvano", changes=SMALL), TabularOptions()) == ("", "")
    assert module._expected(ReproduceOrder("calvano"), TabularOptions(delta=0.5)) == ("", "")


# ------------------------------------------------------------------------------------ what is shown


@cache
def a_finding(sessions: int) -> Finding:
    sellers = TabularSellers(calvano(), sessions, TabularOptions(beta=1e-3, stable=200))
    sellers.run(20_000)
    strategies = Strategies(calvano(), sellers.greedy, sellers.tables.state)
    return find(Contender("x", "some sellers", "session", 0.95, {}), strategies, 0)


def test_the_picture_shows_the_mean_prices() -> None:
    figure = draw_impulse([a_finding(4), a_finding(1), a_finding(4)], calvano())
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert len(shown) == 3 and "1 session only" in shown[1].get_title(loc="left")
    impulse = a_finding(4).impulse
    lines = {line.get_label(): line.get_ydata() for line in shown[0].get_lines()}
    assert np.array_equal(lines["deviator"], impulse.deviator.mean(axis=0))
    assert np.array_equal(lines["rivals"], impulse.rivals.mean(axis=0))
    assert len(shown[0].collections) == 2 and len(shown[1].collections) == 0  # bands need more than one session


def test_paths_have_a_mean_and_an_interval() -> None:
    mean, half = path_figures(np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]]))
    assert mean.tolist() == [2, 5] and half == pytest.approx([2.484, 0], abs=1e-3)
    assert path_figures(np.array([0.0, 1.0]))[0] == 0.5
    assert all(np.isfinite(getattr(a_finding(4).impulse, f.name)).all() for f in fields(a_finding(4).impulse))


def test_numbers_as_text() -> None:
    assert sparkline(np.array([0.0, 1.0, 2.0]), 0, 2) == "▁▅█" and sparkline(np.ones(2), 1, 1) == "▅▅"
    assert amount(0.8641, "{:.3f}", 0.0099) == "0.864 ± 0.010"
    assert (amount(0.5, "{:.3f}", np.nan), amount(np.nan, "{:.3f}", np.nan)) == ("0.500", "-")


# ------------------------------------------------------------------------------------ the figures of the field


def learned(**options: Any) -> Finding:
    """Of a hundred sessions, which tests of the same options share."""
    name = "-".join(["calvano", *(f"{key}-{value}" for key, value in options.items())])
    tables = np.load(once(name, lambda folder: learn(TabularOptions(**options), folder)) / "tables.npz")
    strategies = Strategies(calvano(), tables["greedy"], tables["state"])
    return find(Contender("x", "x", "session", TabularOptions(**options).delta, {}), strategies, 0)


def learn(options: TabularOptions, folder: Path) -> None:
    sellers = TabularSellers(calvano(), 100, options)
    while not sellers.finished.all():
        sellers.run(20_000)
    assert sellers.converged.all()
    np.savez(folder / "tables.npz", greedy=sellers.greedy, state=sellers.tables.state)


@pytest.mark.slow(seconds=30)
def test_sellers_learn_to_collude_with_whom_they_trained_and_with_nobody_else() -> None:
    finding = learned()
    assert finding.gain.mean() == pytest.approx(0.86, abs=0.02) and finding.gain_half < 0.03
    assert finding.rematched == pytest.approx(0.13, abs=0.02) and finding.rematched_half < 0.03
    assert finding.gain.min() < 0.7 and finding.gain.max() > 0.95


@pytest.mark.slow  # when the sessions that it shares are there
def test_deviations_are_punished_and_forgiven() -> None:
    impulse = learned().impulse
    before, forced, after = impulse.rivals.mean(axis=0)[[0, 1, 2]]
    assert forced == pytest.approx(before, abs=0.01) and after < before - 0.15
    assert impulse.returned.mean() > 0.95 and impulse.pays.mean() < 0.1


@pytest.mark.slow(seconds=30)
def test_impatient_sellers_hardly_collude() -> None:
    assert learned(delta=0.35).gain.mean() == pytest.approx(0.16, abs=0.03)


@pytest.mark.slow(seconds=30)
def test_sellers_that_start_from_zero_collude_less() -> None:
    finding = learned(initial="zero")
    assert 0.5 < finding.gain.mean() + finding.gain_half < 0.75
