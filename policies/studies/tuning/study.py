"""The study of `bazaar tune`: Optuna suggests, the engine carries out, and nothing depends on who is done first.

Trials are suggested a batch at a time and told to Optuna together, in order, when all of the batch are done. Each has a
sampler of its own, seeded by the study's seed and the trial's number, and so has each of its options, since a process may be
killed between two of them; and it is pruned by what it has reached itself and by trials of earlier batches only. So
suggestions, pruning and values are the same with any number of processes, and after any interruption.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from market.errors import UserError
from policies.common.parallel import Engine, Listener
from policies.studies.tuning.space import Space, Values, decoded, suggest
from policies.studies.tuning.trial import TrialSetup, work

OUTCOME, OWNER = "outcome", "owner"
UNPRUNED = 0.25  # of the rungs, before which nothing is pruned
AT_FIRST = 8  # finished trials that are needed to prune others

Told = Callable[[int, dict[str, Any]], None]
TrialStep = Callable[[int, int], None]


@dataclass
class Study:
    """Optuna's study, with the space that is searched and the seed of what is suggested."""

    study: optuna.Study
    space: Space
    seed: int
    batch: int

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials so far, by number."""
        return self.study.get_trials(deepcopy=False)

    def next_batch(self, trials: int) -> list[tuple[optuna.Trial, Values]]:
        """The trials of the next batch, of which some may have been begun, up to ``trials`` altogether."""
        there = self.trials
        going = [one.number for one in there if one.state == TrialState.RUNNING]
        asked = [one.number for one in there if one.state != TrialState.WAITING]
        first = going[0] if going else len(asked)
        end = min((first // self.batch + 1) * self.batch, trials)
        found = []
        for number in [*going, *range(len(asked), end)]:
            trial = optuna.Trial(self.study, there[number]._trial_id) if number in going else self.study.ask()
            found.append((trial, self._suggested(trial)))
        return found

    def _suggested(self, trial: optuna.Trial) -> Values:
        """The trial's value of every option, of which some may have been suggested before."""
        self.study.sampler = _sampler(self.seed, trial.number)
        trial.relative_params  # noqa: B018  # drawn now: all options that finished trials have, whichever are stored already
        values: Values = {}
        for k, path in enumerate(self.space):
            self.study.sampler = _sampler(self.seed, trial.number, k)
            values |= suggest(trial, {path: self.space[path]})
        return values

    def prunes(self, number: int, rung: int) -> bool:
        """Whether a trial ends at a rung; what was reported of later ones, before an interruption, does not count."""
        trial = self.study.get_trials()[number]
        trial.intermediate_values = {k: value for k, value in trial.intermediate_values.items() if k <= rung}
        return self.study.pruner.prune(self.study, trial)

    def tell(self, trial: optuna.Trial) -> None:
        """Tell Optuna how a trial of a finished batch ended."""
        outcome = trial.user_attrs[OUTCOME]
        if outcome.get("refused") or outcome["pruned"]:
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            self.study.tell(trial, outcome["rungs"][-1])


def open_study(
    url: Any,
    name: str,
    space: Space,
    seed: int,
    batch: int,
    rungs: int,
    first: dict[str, Any],
    owner: str | None = None,
) -> Study:
    """The study in a store, made where there is none; its first trial has the values ``first``.

    ``owner``: what only the study's folder knows. Raises :class:`UserError` for a store that cannot be used, and for one
    that holds another folder's study of this name.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=AT_FIRST, n_warmup_steps=int(rungs * UNPRUNED))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            study = optuna.create_study(
                storage=url, study_name=name, direction="maximize", load_if_exists=True, pruner=pruner
            )
        except (optuna.exceptions.OptunaError, ImportError, ValueError) as error:
            raise UserError(f"{url}: cannot be used as a store of trials ({str(error).splitlines()[0]})") from None
    if owner is not None and study.user_attrs.setdefault(OWNER, owner) != owner:
        raise UserError(f"{url}: holds the study {name} of another folder; choose another --name")
    if owner is not None:
        study.set_user_attr(OWNER, owner)
    if not study.get_trials(deepcopy=False) and first:
        study.enqueue_trial(first)
    return Study(study, space, seed, batch)


def _sampler(seed: int, *numbers: int) -> optuna.samplers.BaseSampler:
    words = np.random.SeedSequence((seed, *numbers)).generate_state(1)
    return optuna.samplers.TPESampler(seed=int(words[0]))


@dataclass
class _Hears(Listener):
    """Keeps what the trials of a batch say, and prunes them."""

    study: Study
    setup: TrialSetup
    trials: Sequence[optuna.Trial]
    moved: TrialStep
    told: Told

    def said(self, task: int, what: Any) -> bool:
        """See :class:`policies.common.parallel.tasks.Listener`."""
        rung, value = what
        trial = self.trials[task]
        if rung not in self.study.trials[trial.number].intermediate_values:
            trial.report(value, rung)
        self.moved(trial.number, rung)
        return bool(rung == self.setup.rungs or not self.study.prunes(trial.number, rung))

    def finished(self, task: int, result: Any) -> None:
        """See :class:`policies.common.parallel.tasks.Listener`."""
        self._end(task, result)

    def refused(self, task: int, problem: UserError) -> None:
        """Options that contradict one another make a trial that is worth nothing, no end of the search."""
        self._end(task, {"refused": str(problem), "rungs": [], "gains": [], "pruned": True})

    def _end(self, task: int, outcome: dict[str, Any]) -> None:
        trial = self.trials[task]
        trial.set_user_attr(OUTCOME, outcome)
        self.told(trial.number, outcome)


def search(study: Study, setup: TrialSetup, trials: int, engine: Engine, moved: TrialStep, told: Told) -> None:
    """Carry out what is left of ``trials``; ``moved`` hears (trial, rung), ``told`` of a trial that is done."""
    while batch := study.next_batch(trials):
        open_ones = [(trial, values) for trial, values in batch if OUTCOME not in trial.user_attrs]
        hears = _Hears(study, setup, [trial for trial, _ in open_ones], moved, told)
        engine.run(work, setup, [(trial.number, values) for trial, values in open_ones], hears)
        for trial, _ in batch:
            study.tell(trial)


@dataclass(frozen=True)
class Outcome:
    """How a trial stands. ``value`` None: pruned, refused or not done; ``gains``: configurations x seeds."""

    number: int
    values: Values
    state: str
    value: float | None
    rungs: list[float]
    gains: list[list[float]]
    problem: str = ""


def outcomes(study: Study) -> list[Outcome]:
    """All trials that have ended, by number, those of an unfinished batch among them."""
    found = []
    for one in study.trials:
        said = one.user_attrs.get(OUTCOME)
        if said is not None:
            state = "refused" if said.get("refused") else "pruned" if said["pruned"] else "done"
            value = said["rungs"][-1] if state == "done" else None
            problem = said.get("refused", "")
            found.append(Outcome(one.number, decoded(one.params), state, value, said["rungs"], said["gains"], problem))
    return found


def best_of(found: Sequence[Outcome]) -> Outcome | None:
    """The finished trial of the highest value; of equals the first."""
    done = [one for one in found if one.value is not None]
    return max(done, key=lambda one: (one.value or 0.0, -one.number), default=None)


def importances(study: Study) -> dict[str, float]:
    """How much of the variance of finished trials each option explains (fANOVA, Hutter et al. 2014), most first."""
    done = [one for one in study.trials if one.state == TrialState.COMPLETE]
    if len(done) < AT_FIRST or len(study.space) < 2 or np.ptp([one.value for one in done]) == 0:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    return dict(optuna.importance.get_param_importances(study.study, evaluator=evaluator))
