"""`bazaar tune`: search learners' options over one or several configurations, in a folder that can be gone on with.

The objective of a trial is how much more the learners earn against the first line-up of fixed competitors than that
line-up's own rules in their seats, on the same customers: per seat ``score / reference - 1`` (never below -1), at the
best evaluation of the run (or the last), its mean over learning seats, then the mean (or worst) over seeds, then the
mean over configurations. Trials below the median of finished ones at an evaluation are pruned.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from rich.console import Console
from sqlalchemy import URL

from policies.common.interrupt import careful
from policies.common.parallel.engines import open_engine
from policies.common.tune_bar import TrialsBar
from policies.evaluation.evaluate import terminal
from policies.studies.tuning.space import present_values, search_space
from policies.studies.tuning.study import Study, best_of, importances, open_study, outcomes, search
from policies.studies.tuning.trial import Setup
from policies.studies.tuning.tune_folder import STORE, TuneOrder, find_folder, read_configs, set_up, what_is_searched
from policies.studies.tuning.view import TRIALS, print_results, record_trial, write_best, write_trials
from policies.training.train import pick_device


def tune(order: TuneOrder, console: Console | None = None) -> Path:
    """Carry out `bazaar tune`; returns its folder. Trials of earlier calls of the same search are kept.

    Raises:
        Refusal: a configuration without ``tune:``, an option or value that does not exist, another search's folder.
        KeyboardInterrupt: on Ctrl-C, with what is there and how to go on.
    """
    console = console or terminal()
    configs = read_configs(order)
    space = search_space(configs, order.learner)
    pick_device(order.device)
    inputs = what_is_searched(order, configs)
    folder = find_folder(order, inputs)
    try:
        with careful():
            setup = set_up(order, configs, inputs, folder, console)
            first = present_values(next(iter(configs.values())), space)
            url = order.storage or URL.create("sqlite", database=str(folder / STORE)).render_as_string()
            study = open_study(url, folder.name, space, order.seed, order.batch, setup.rungs, first)
            _carry_out(order, study, setup, folder, console)
    except KeyboardInterrupt:
        again = f"{shlex.quote(str(folder))}; the same command goes on" if folder.exists() else "no folder yet"
        raise KeyboardInterrupt(f"interrupted: trials that ended are in {again}") from None
    return folder


def _carry_out(order: TuneOrder, study: Study, setup: Setup, folder: Path, console: Console) -> None:
    before = outcomes(study)
    best = best_of(before)
    if before:
        enough = "; a larger --trials adds to them" if len(before) >= order.trials else ""
        console.print(f"{len(before)} trials are there already{enough}", highlight=False)

    def told(number: int, outcome: dict[str, Any]) -> None:
        bar.finished(number, outcome)
        found = outcomes(study)
        write_trials(folder, found, setup)
        record_trial(folder, next(one for one in found if one.number == number))

    try:
        with (
            open_engine(order.processes, order.batch, order.ray) as engine,
            TrialsBar(console, order.trials, len(before), setup.rungs, best.value if best else None) as bar,
        ):
            search(study, setup, order.trials, engine, bar.moved, told)
    finally:
        _report(order, study, setup, folder, console)


def _report(order: TuneOrder, study: Study, setup: Setup, folder: Path, console: Console) -> None:
    found = outcomes(study)
    print_results(found, setup, importances(study), console)
    best = best_of(found)
    paths = write_best(folder, best, setup, order.command or "bazaar tune") if best else []
    train = f"   best: bazaar train {shlex.quote(str(paths[0]))}" if paths else ""
    if paths and order.budget:
        console.print(f"best.yaml trains for the search's --budget, {order.budget:,} seller-periods", highlight=False)
    charts = f"bazaar board {shlex.quote(str(folder))}"
    text = f"search: {folder}   trials: {folder / TRIALS}{train}   charts: {charts}"
    console.print(text, highlight=False, markup=False, soft_wrap=True)
