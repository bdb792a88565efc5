"""`bazaar tune`: what it may search, what a trial scores, and that nothing depends on who is done first."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import attrs
import numpy as np
import pytest
import yaml
from optuna.storages import InMemoryStorage
from rich.console import Console

from market.errors import UserError
from policies.common.parallel import Listener, Say, open_engine
from policies.common.parallel.tasks import Job
from policies.config.learners import DDPGOptions, DQNOptions
from policies.config.orders import TuneOrder
from policies.config.run import parse_run, read_config
from policies.config.search_space import flatten
from policies.storage.work_folder import WorkFolder, locked
from policies.studies.tuning import study as tune_study
from policies.studies.tuning.run import tune as tune_command
from policies.studies.tuning.space import search_space
from policies.studies.tuning.study import Study, best_of, open_study, outcomes, search
from policies.studies.tuning.trial import Pair, TrialSetup, summed_up
from policies.studies.tuning.view import tables
from policies.training.run import TrainingRun
from tests.helpers.cut_off import Killed
from tests.helpers.orders import carry_out
from tests.helpers.small_run import DUOPOLY, ROOT
from tests.helpers.tuning import LITTLE, SPACE, order, rows

MONOPOLY = ROOT / "configs" / "monopoly.yaml"


def tune(order: TuneOrder, console: Console) -> Path:
    return Path(carry_out(tune_command, order, console).folder)


def quiet() -> Console:
    return Console(quiet=True)


# ------------------------------------------------------------------------------------------------ the space


def test_keys_may_be_nested_or_joined() -> None:
    nested = {"learners": {"dqn": {"lr": {"log": [1, 2]}}}, "seats": {"left": {"gamma": {"choice": [1, 2]}}}}
    joined = {"learners.dqn.lr": {"log": [1, 2]}, "seats.left": {"gamma": {"choice": [1, 2]}}}
    assert flatten(nested) == flatten(joined) != {}
    config = read_config(DUOPOLY, SPACE)
    assert parse_run(config.dump(), "again") == config
    assert "tune" not in read_config(DUOPOLY).dump()


def test_options_that_take_whole_numbers_get_whole_numbers() -> None:
    changes = (
        "tune.learners.dqn.report_every={range: [5, 20], step: 5}",
        "tune.learners.dqn.batch_size={log: [1e2, 1e3]}",
    )
    changes += ("tune.learners.dqn.gamma={range: [0, 0.99]}", "tune.learners.dqn.hidden={choice: [[8], [8, 8]]}")
    found = search_space({"duopoly": read_config(DUOPOLY, changes)})
    kinds = {path: type(one).__name__ for path, one in found.items()}
    assert kinds == {
        "learners.dqn.report_every": "IntDistribution",
        "learners.dqn.batch_size": "IntDistribution",
        "learners.dqn.gamma": "FloatDistribution",
        "learners.dqn.hidden": "CategoricalDistribution",
    }


REFUSED = {
    "tune.learners.dqn.lrr={log: [1, 2]}": "duopoly: tune.learners.dqn.lrr: unknown option 'lrr' (did you mean lr?)",
    "tune.learners.ppo.lr={log: [1, 2]}": "unknown learner 'ppo'",
    "tune.learners.dqn.lr={log: [0, 1]}": "tune.learners.dqn.lr: log needs ends above 0",
    "tune.learners.dqn.lr={log: [1, 0.1]}": "the first end must be below the second",
    "tune.learners.dqn.lr={range: [-1, 1]}": "tune.learners.dqn.lr: must be greater than 0 (got -1)",
    "tune.learners.dqn.lr={choice: [0.1]}": "choice needs two values or more",
    "tune.learners.dqn.lr={log: [1, 2], choice: [1, 2]}": "needs one of range, log, choice; it has log, choice",
    "tune.learners.dqn.lr={log: [1, 2], step: 1}": "step goes with range only",
    "tune.learners.dqn.double={range: [0, 1]}": "takes no numbers, so it needs choice",
    "tune.learners.dqn.lr.a={range: [0, 1]}": "lr has no keys",
    "tune.learners.dqn.n_step={choice: [1, 1.5]}": "tune.learners.dqn.n_step: must be a valid integer",
    "tune.market.horizon={range: [10, 20]}": "must be learners.NAME.OPTION, seats.SELLER.OPTION or training.markets",
    "tune.seats.left.lr={log: [1, 2]}": "seats.left has no learner with options of its own",
    "tune={learners.a2c.lr: {log: [1e-4, 1e-2]}}": "no seat has a2c, so nothing depends on it (the learners are ddpg, dqn",
    "tune={}": "tune: declares no option to search",
}


@pytest.mark.parametrize("change", REFUSED)
def test_what_cannot_be_searched_is_refused_with_its_place(change: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as refusal:
        tune(order(tmp_path, "t", changes=(*LITTLE, change)), quiet())
    assert REFUSED[change] in str(refusal.value) and not (tmp_path / "t").exists()


# ------------------------------------------------------------------------------------------------ what a trial scores


def test_gains_are_summed_over_seeds_and_then_configurations() -> None:
    assert summed_up([[0.1, 0.3], [0.2, 0.0]], worst=False) == pytest.approx(0.15)
    assert summed_up([[0.1, 0.3], [0.2, 0.0]], worst=True) == pytest.approx(0.05)


def by_hand(seed: int, lr: float, tau: float) -> float:
    """The objective from a training run's own scores and what the line-up's rules earn in the learners' seats."""
    changes = (*LITTLE, "training.budget=6000", f"learners.dqn.lr={lr!r}", f"learners.ddpg.tau={tau!r}")
    training = TrainingRun(read_config(DUOPOLY, changes), seed, "cpu")
    best: dict[int, float] = {}
    for until in (2000, 4000, 6000):
        while training.play.done < until:
            training.play.play_period()
        for seat, score in training.scores().items():
            best[seat] = max(score, best.get(seat, -np.inf))
    rules = dict(enumerate(training.selection.first))
    training.greedy = rules.__getitem__  # type: ignore[method-assign,assignment]
    reference = training.scores()
    return float(np.mean([max((best[seat] - reference[seat]) / abs(reference[seat]), -1) for seat in best]))


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search in one process, with two seeds a trial."""
    return tune(order(tmp_path_factory.mktemp("tune"), "straight", seeds=2, trials=4), quiet())


def test_a_trials_value_is_the_mean_over_seeds_of_what_training_scores(straight: Path) -> None:
    first, second, *_ = rows(straight)
    config = read_config(DUOPOLY)
    assert (
        float(first["learners.dqn.lr"]) == DQNOptions().lr and float(first["learners.ddpg.tau"]) == DDPGOptions().tau
    ), config.learners
    lr, tau = float(second["learners.dqn.lr"]), float(second["learners.ddpg.tau"])
    expected = [by_hand(seed, lr, tau) for seed in (0, 1)]
    assert [float(second[f"duopoly/seed{seed}"]) for seed in (0, 1)] == pytest.approx(expected, abs=1e-12)
    assert float(second["objective"]) == pytest.approx(np.mean(expected), abs=1e-12)


def test_the_best_trials_configuration_can_be_trained(straight: Path) -> None:
    best = max((row for row in rows(straight) if row["state"] == "done"), key=lambda row: float(row["objective"]))
    config = read_config(straight / "best.yaml")
    assert config.learners["dqn"]["lr"] == float(best["learners.dqn.lr"])
    assert config.learners["ddpg"]["tau"] == float(best["learners.ddpg.tau"])
    assert TrainingRun(config, 0, "cpu").play.learners[0].network is not None


def test_hparams_hold_every_trials_options_beside_its_objective(straight: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import plugin_data_pb2

    for row in rows(straight):
        events = EventAccumulator(str(straight / "trials" / f"trial-{int(row['trial']):04d}"))
        events.Reload()
        content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
        given = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
        assert given["dqn.lr"].number_value == float(row["learners.dqn.lr"])
        assert events.Scalars("final/objective")[0].value == pytest.approx(float(row["objective"]), abs=1e-6)
        assert len(events.Scalars("tune/objective")) == int(row["rungs"])


@pytest.mark.slow
def test_processes_and_interruptions_change_nothing(straight: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """Two processes; stopped when the first trial of the second batch is done, then gone on with."""
    from policies.studies.tuning import run as module

    record = module.record_trial

    def stop_at_third(folder: Path, outcome: tune_study.Outcome) -> None:
        record(folder, outcome)
        if len(rows(folder)) == 3:
            raise KeyboardInterrupt

    wanted = order(tmp_path, "straight", seeds=2, trials=4, processes=2)
    monkeypatch.setattr(module, "record_trial", stop_at_third)
    with pytest.raises(KeyboardInterrupt, match="the same command goes on"):
        tune(wanted, quiet())
    assert len(rows(tmp_path / "straight")) == 3 and (tmp_path / "straight" / "best.yaml").exists()
    monkeypatch.setattr(module, "record_trial", record)
    tune(wanted, quiet())
    assert rows(tmp_path / "straight") == rows(straight)
    with pytest.raises(UserError, match=r"is another study.*configs\.duopoly\.market\.horizon: 100 / 90"):
        tune(order(tmp_path, "straight", seeds=2, changes=(*LITTLE, *SPACE, "market.horizon=90")), quiet())


def test_one_set_of_options_over_two_configurations_each_by_its_own_reference(tmp_path: Path) -> None:
    changes = (*LITTLE, "tune.learners.ddpg.lr={choice: [1e-3, 1e-2]}", "tune.learners.dqn.lr={choice: [1e-3, 1e-2]}")
    changes = tuple(change for change in changes if "line_ups" not in change)
    wanted = order(tmp_path, "both", trials=1, learner="ddpg", over_seeds="worst", changes=changes)
    folder = tune(attrs.evolve(wanted, configs=(DUOPOLY, MONOPOLY)), quiet())
    (row,) = rows(folder)
    gains = [float(row["duopoly/seed0"]), float(row["monopoly/seed0"])]
    assert float(row["objective"]) == pytest.approx(np.mean(gains)) and "learners.dqn.lr" not in row
    assert read_config(folder / "best-duopoly.yaml").seats == {"left": "ddpg", "right": "ddpg"}
    assert yaml.safe_load((folder / "best-monopoly.yaml").read_text())["seats"] == {"shop": "ddpg"}


# ------------------------------------------------------------------------------------------------ suggestions, pruning


def bowl(setup: TrialSetup, task: tuple[int, dict[str, Any]], say: Say) -> dict[str, Any]:
    """A trial whose value climbs to -(log10 lr + 3)^2."""
    number, values = task
    if number == 5:
        raise UserError("learners.dqn: these options contradict one another")
    height, rungs = -((np.log10(values["learners.dqn.lr"]) + 3) ** 2), list[float]()
    go_on = True
    while go_on and len(rungs) < setup.rungs:
        rungs.append(height - (setup.rungs - len(rungs) - 1))
        go_on = say((len(rungs), rungs[-1]))
    return {"gains": [[rungs[-1]]], "rungs": rungs, "pruned": len(rungs) < setup.rungs}


class Backwards:
    """An engine that carries out the last task first."""

    remote = False

    def run(self, work: Job, shared: Any, tasks: Sequence[Any], listener: Listener) -> None:
        with open_engine(1, 1) as engine:
            for number in reversed(range(len(tasks))):
                engine.run(work, shared, [tasks[number]], _Renumbered(listener, number))


class _Renumbered(Listener):
    def __init__(self, listener: Listener, number: int) -> None:
        self._listener, self._number = listener, number

    def said(self, task: int, what: Any) -> bool:
        return self._listener.said(self._number, what)

    def finished(self, task: int, result: Any) -> None:
        self._listener.finished(self._number, result)

    def refused(self, task: int, problem: UserError) -> None:
        self._listener.refused(self._number, problem)


def studied(seed: int, engine: Any, trials: int = 40, store: Any = None, batch: int = 8) -> Study:
    """In a store of Python's own, which takes a twentieth of a database's time; commands search in databases."""
    searched = ("tune.learners.dqn.lr={log: [1e-6, 1]}", "tune.learners.dqn.gamma={range: [0, 0.99]}")
    space = search_space({"duopoly": read_config(DUOPOLY, searched)})
    study = open_study(store or InMemoryStorage(), "s", space, seed, batch, 4, {"learners.dqn.lr": 0.5})
    setup = TrialSetup((), (0,), 4, False, False, "cpu")
    with np.errstate(under="ignore"):  # within Optuna
        search(study, setup, trials, engine, lambda trial, rung: None, lambda trial, outcome: None)
    return study


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune_study, "work", bowl)


@pytest.mark.usefixtures("fake")
def test_suggestions_depend_on_the_seed_and_not_on_the_order_in_which_trials_end() -> None:
    with open_engine(1, 1) as engine:
        one, other = studied(0, engine), studied(1, engine)
    backwards = studied(0, Backwards())
    assert outcomes(one) == outcomes(backwards) != outcomes(other)
    best = best_of(outcomes(one))
    assert best is not None and best.value is not None and best.value > -0.05


class Mortal(InMemoryStorage):
    """A store that outlives its process, which is killed before a certain write."""

    left = -1

    def _write(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed

    def create_new_trial(self, *given: Any, **named: Any) -> int:
        self._write()
        return super().create_new_trial(*given, **named)

    def set_trial_param(self, *given: Any, **named: Any) -> None:
        self._write()
        super().set_trial_param(*given, **named)

    def set_trial_state_values(self, *given: Any, **named: Any) -> bool:
        self._write()
        return super().set_trial_state_values(*given, **named)

    def set_trial_intermediate_value(self, *given: Any, **named: Any) -> None:
        self._write()
        super().set_trial_intermediate_value(*given, **named)

    def set_trial_user_attr(self, *given: Any, **named: Any) -> None:
        self._write()
        super().set_trial_user_attr(*given, **named)


@pytest.mark.usefixtures("fake")
def test_a_search_killed_at_any_write_and_called_again_finds_what_it_finds_undisturbed() -> None:
    with open_engine(1, 1) as engine:
        whole = Mortal()
        straight = outcomes(studied(0, engine, 24, whole, batch=6))
        writes = -1 - whole.left
        assert {one.state for one in straight} == {"done", "pruned", "refused"} and writes > 100
        for write in range(1, writes, 7):
            store = Mortal()
            store.left = write
            with pytest.raises(Killed):
                studied(0, engine, 24, store, batch=6)
            assert outcomes(studied(0, engine, 24, store, batch=6)) == straight, write


def test_a_store_keeps_the_study_of_one_folder(tmp_path: Path) -> None:
    """Two processes of different folders would train the same trials twice, and each tell how they ended."""
    store = InMemoryStorage()
    for owner in ("one", "one"):
        open_study(store, "s", {}, 0, 8, 4, {}, owner)
    with pytest.raises(UserError, match="holds the study s of another folder; choose another --name"):
        open_study(store, "s", {}, 0, 8, 4, {}, "other")


def test_a_study_that_two_processes_begin_at_once_is_one_of_them(tmp_path: Path) -> None:
    one, other = (WorkFolder(tmp_path / "s", "about.json", "study", {"a": 1}) for _ in range(2))
    one.begin({"by": "one"})
    with pytest.raises(UserError, match="another process has begun this study meanwhile"):
        other.begin({"by": "other"})
    assert one.facts("by")["by"] == "one" and [path.name for path in tmp_path.iterdir()] == ["s"]
    with (
        locked(one.path, ""),
        pytest.raises(UserError, match=rf"another process \(number {os.getpid()}\) is at this study"),
        other.going_on(lambda: None, lambda: ""),
    ):
        raise AssertionError


def test_trials_that_all_score_the_same_are_said_to_have_taught_nothing() -> None:
    setup = TrialSetup((), (0,), 1, False, False, "cpu")
    for values, said in (((-0.13, -0.13 + 1e-16, -0.13), True), ((-0.13, -0.12, -0.13), False), ((-0.13,), False)):
        found = [
            tune_study.Outcome(k, {"learners.dqn.lr": 0.1}, "done", one, [one], [[one]]) for k, one in enumerate(values)
        ]
        (table,) = tables(found, setup, {})
        assert ("all have the same objective, so nothing was learnt" in str(table.notes)) == said


@pytest.mark.usefixtures("fake")
def test_pruned_are_those_below_the_median_of_trials_finished_in_earlier_batches() -> None:
    with open_engine(1, 1) as engine:
        found = outcomes(studied(0, engine))
    assert found[5].state == "refused" and "contradict" in found[5].problem
    for one in found:
        before = [o for o in found if o.number < one.number // 8 * 8 and o.state == "done"]
        end = 4
        for rung in (1, 2, 3) if len(before) >= tune_study.AT_FIRST else ():
            if max(one.rungs[:rung], default=0) < np.median([o.rungs[rung - 1] for o in before]):
                end = rung
                break
        assert len(one.rungs) == (0 if one.state == "refused" else end), one
    assert any(one.state == "pruned" for one in found)


def test_a_gain_over_a_reference_that_loses_money_by_hand() -> None:
    """From -4 to -3 is a quarter gained; what loses 10 counts as -1, as what loses 8 does."""
    pair = Pair(cast(TrainingRun, None), [-4.0])
    pair._take({0: -10.0}, last=False)
    assert pair.gain == {0: -1.0}
    pair._take({0: -3.0}, last=False)
    assert pair.gain == {0: 0.25}
