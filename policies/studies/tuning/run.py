"""`bazaar tune`: search learners' options over one or several configurations, in a folder that can be gone on with.

The objective of a trial is how much more the learners earn against the first line-up of fixed competitors than that
line-up's own rules in their seats, on the same customers: per seat ``score / reference - 1`` (never below -1), at the
best evaluation of the run (or the last), its mean over learning seats, then the mean (or worst) over seeds, then the
mean over configurations. Trials below the median of finished ones at an evaluation are pruned.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from sqlalchemy import URL

from market.errors import UserError
from policies.common.console import at_work, say_onward
from policies.common.parallel import open_engine
from policies.common.progress import Progress, Task, progress
from policies.common.results import WrittenRecords
from policies.config.command import ordered_by
from policies.config.orders import TuneOrder
from policies.config.run import RunConfig, read_config
from policies.evaluation.line_ups import LineUps
from policies.learners.build import what_is_learned
from policies.sellers.rules.compose import parse_rules
from policies.sellers.rules.usual import best_line_up
from policies.storage.work_folder import WorkFolder
from policies.studies.tuning.space import everywhere, present_values, search_space
from policies.studies.tuning.study import OWNER, Study, best_of, importances, open_study, outcomes, search
from policies.studies.tuning.trial import Case, TrialSetup, reference_profit
from policies.studies.tuning.view import TRIALS, record_trial, tables, write_best, write_trials
from policies.training.run import TrainingRun
from policies.training.train import pick_device

FORMAT = 1
ABOUT, STORE = "tune.json", "study.db"


def read_configs(order: TuneOrder) -> dict[str, RunConfig]:
    """The configurations by name, changed as asked; raises :class:`UserError` for two of one name."""
    changes = order.changes + ((f"training.budget={order.budget}",) if order.budget else ())
    found: dict[str, RunConfig] = {}
    for path in order.configs:
        if path.stem in found:
            raise UserError(f"{path}: two configurations are called {path.stem}")
        config = read_config(path, changes)
        found[path.stem] = everywhere(config, order.learner) if order.learner else config
    return found


def what_is_searched(order: TuneOrder, configs: Mapping[str, RunConfig]) -> dict[str, Any]:
    """Everything that decides what trials are and what they score, as plain data."""
    return {
        "format": FORMAT,
        "learning": {name: what_is_learned(config) for name, config in configs.items()},
        "configs": {name: config.dump() for name, config in configs.items()},
        "learner": order.learner,
        "seeds": [order.seed + k for k in range(order.seeds)],
        "over_seeds": order.over_seeds,
        "score": order.score,
        "batch": order.batch,
        "rungs": min(config.training.evaluations for config in configs.values()),
    }


def begin(work: WorkFolder, order: TuneOrder, configs: Mapping[str, RunConfig]) -> None:
    """Search the references' stock levels and make the folder."""
    with progress(order.console, f"setting up {', '.join(configs)}"):
        references = {name: references_of(config, name, order.seed) for name, config in configs.items()}
    work.begin({"command": order.command, "references": references, OWNER: secrets.token_hex(8)})


def set_up(order: TuneOrder, configs: Mapping[str, RunConfig], work: WorkFolder) -> TrialSetup:
    """What trials share."""
    levels, inputs = work.facts("references")["references"], work.asked
    cases = tuple(Case(name, config.dump(), tuple(levels[name])) for name, config in configs.items())
    setup = TrialSetup(
        cases, tuple(inputs["seeds"]), inputs["rungs"], order.over_seeds == "worst", order.score == "last", order.device
    )
    for case in cases:
        _refuse_nothing_earned(case, setup)
    return setup


def references_of(config: RunConfig, name: str, seed: int) -> list[str]:
    """The first line-up's rules in every seat, stock levels searched; in a monopoly those it is given, or the best
    base stock level at the price that is best for one seller.

    Raises :class:`UserError` for a configuration that cannot be trained.
    """
    try:
        TrainingRun(config, seed, "cpu")
    except UserError as problem:
        raise UserError(f"{name}: {problem}") from None
    line_ups = LineUps(config, seed)
    rules = line_ups.chosen(None)[0]
    if len(config.market.sellers) == 1:
        listed = config.evaluation.line_ups or (best_line_up(config.market),)
        rules = parse_rules(listed[0], f"{name}: evaluation.line_ups", config.market)
    return [line_ups.fixed(rules, seat).label for seat in range(len(config.market.sellers))]


def _refuse_nothing_earned(case: Case, setup: TrialSetup) -> None:
    config = case.parsed()
    for seed in setup.seeds:
        earned = reference_profit(config, case.sellers(config), seed)
        for seller, profit in zip(config.market.names, earned, strict=True):
            if not profit:
                raise UserError(
                    f"{case.name}: {case.references[0]} earns exactly 0 in the seat of {seller}, so nothing "
                    "is measured by it; choose other evaluation.line_ups"
                )


class TuningResult(WrittenRecords):
    """A search that was made, with a row a trial: state, objective, the gain of each configuration and seed, options."""


@ordered_by(TuneOrder)
def tune(order: TuneOrder) -> TuningResult:
    """Carry out `bazaar tune`. Trials of earlier calls of the same search are kept.

    Raises:
        UserError: a configuration without ``tune:``, an option or value that does not exist, another search's folder.
        KeyboardInterrupt: on Ctrl-C, with what is there and how to go on.

    Example::

        from policies import tune

        less = ["training.evaluations=2", "evaluation.line_ups=[nash+base_stock]"]
        searched = ["tune.learners.dqn.lr={log: [1e-4, 1e-2]}", *less]
        found = tune("duopoly", trials=2, budget=6_000, device="cpu", processes=1, changes=searched)
        print(found.to_frame()[["trial", "objective", "learners.dqn.lr"]])
    """
    configs = read_configs(order)
    space = search_space(configs, order.learner)
    pick_device(order.device)
    asked, stem = what_is_searched(order, configs), f"tune-{'-'.join(configs)[:60]}"
    work = WorkFolder.find(order.runs, order.name, stem, about=ABOUT, what="study", asked=asked)
    folder = work.path
    with work.going_on(lambda: begin(work, order, configs), lambda: _interrupted(folder)):
        setup = set_up(order, configs, work)
        first = present_values(next(iter(configs.values())), space)
        url = order.storage or URL.create("sqlite", database=str(folder / STORE)).render_as_string()
        owner = work.facts().get(OWNER)
        study = open_study(url, folder.name, space, order.seed, order.batch, setup.rungs, first, owner)
        _carry_out(order, study, setup, folder)
    return TuningResult(folder / TRIALS)


def _interrupted(folder: Path) -> str:
    again = f"{shlex.quote(str(folder))}; the same command goes on" if folder.exists() else "no folder yet"
    return f"interrupted: trials that ended are in {again}"


class TrialsBar(Progress):
    """Counts rungs, and says a line a trial off a terminal.

    Args:
        trials: of the whole study.
        there: how many of them ended before.
        rungs: evaluations of a trial that is not pruned.
        best: the highest value so far, if any.
    """

    def __init__(self, console: Console, trials: int, there: int, rungs: int, best: float | None) -> None:
        super().__init__(console)
        self._trials, self._rungs, self._ended, self._best, self._at = trials, rungs, there, best, dict[int, int]()
        self._task = Task(self, "tuning", trials * rungs, there * rungs)
        self._show()

    def moved(self, trial: int, rung: int) -> None:
        """A trial has reached a rung."""
        self._at[trial] = rung
        self._show()

    def finished(self, trial: int, outcome: dict[str, Any]) -> None:
        """A trial has ended; a pruned one counts as a whole one, as others will be pruned too."""
        self._at.pop(trial, None)
        self._ended += 1
        if not outcome["pruned"]:
            self._best = max(outcome["rungs"][-1], -2.0 if self._best is None else self._best)
        how = "refused" if outcome.get("refused") else "pruned" if outcome["pruned"] else "done"
        value = f" {outcome['rungs'][-1]:+.2%}" if outcome["rungs"] else ""
        self.say(f"trial {trial} {how}{value}   {'   '.join(self._show())}")

    def _show(self) -> tuple[str, str]:
        best = "" if self._best is None else f", best {self._best:+.2%}"
        done = self._ended * self._rungs + sum(self._at.values())
        text, left = f"{self._ended} of {self._trials} trials{best}", self._task.left(done)
        self._task.show(done, text=text, left=left)
        at_work(self.console, f"tuning: {text}", self._task.begun)
        return text, left


def _carry_out(order: TuneOrder, study: Study, setup: TrialSetup, folder: Path) -> None:
    before = outcomes(study)
    best = best_of(before)
    if before:
        enough = "; a larger --trials adds to them" if len(before) >= order.trials else ""
        order.console.print(f"{len(before)} trials are there already{enough}", highlight=False)

    def told(number: int, outcome: dict[str, Any]) -> None:
        bar.finished(number, outcome)
        found = outcomes(study)
        write_trials(folder, found, setup)
        record_trial(folder, next(one for one in found if one.number == number))

    try:
        with (
            open_engine(order.processes, order.batch, order.ray) as engine,
            TrialsBar(order.console, order.trials, len(before), setup.rungs, best.value if best else None) as bar,
        ):
            search(study, setup, order.trials, engine, bar.moved, told)
    finally:
        _report(order, study, setup, folder)


def _report(order: TuneOrder, study: Study, setup: TrialSetup, folder: Path) -> None:
    found = outcomes(study)
    for table in tables(found, setup, importances(study)):
        table.print(order.console)
    best = best_of(found)
    paths = write_best(folder, best, setup, order.command or "bazaar tune") if best else []
    train = [f"best: bazaar train {shlex.quote(str(paths[0]))}"] if paths else []
    if paths and order.budget:
        order.console.print(
            f"best.yaml trains for the search's --budget, {order.budget:,} seller-periods", highlight=False
        )
    charts = f"charts: bazaar board {shlex.quote(str(folder))}"
    say_onward(order.console, f"search: {folder}", f"trials: {folder / TRIALS}", *train, charts)
