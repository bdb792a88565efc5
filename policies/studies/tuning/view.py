"""What a search found: the table in the terminal, trials.csv, the best configuration, and TensorBoard's hparams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from policies.common.files import write_csv, write_file
from policies.studies.tuning.space import with_values
from policies.studies.tuning.study import Outcome
from policies.studies.tuning.trial import TrialSetup
from policies.views.page import told
from policies.views.table import Cells, Column, Note, Table

TRIALS, SHOWN = "trials.csv", 10
GAIN, EQUAL = "{:+.2%}", 1e-12


def short(path: str) -> str:
    """An option's path without what all of them begin with: learners.dqn.lr is dqn.lr."""
    return path.removeprefix("learners.")


def text_of(value: Any) -> str:
    """A value as a person reads it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


# ------------------------------------------------------------------------------------------------ files


def write_trials(folder: Path, found: Sequence[Outcome], setup: TrialSetup) -> None:
    """One row a trial: state, objective, rungs reached, the gain of each configuration and seed, the options."""
    rows, seeds = [], list(enumerate(setup.seeds))
    pairs = [(c, s, f"{case.name}/seed{seed}") for c, case in enumerate(setup.cases) for s, seed in seeds]
    for one in found:
        row: dict[str, Any] = {"trial": one.number, "state": one.state, "objective": one.value}
        row |= {"rungs": len(one.rungs), "last": one.rungs[-1] if one.rungs else None}
        row |= {name: one.gains[c][s] if one.gains else None for c, s, name in pairs}
        rows.append(row | one.values)
    write_csv(folder / TRIALS, rows)


def write_best(folder: Path, best: Outcome, setup: TrialSetup, command: str) -> list[Path]:
    """Every configuration with the best trial's options, for `bazaar train`."""
    paths = []
    for case in setup.cases:
        config = with_values(case.parsed(), best.values, case.name)
        path = folder / ("best.yaml" if len(setup.cases) == 1 else f"best-{case.name}.yaml")
        head = f"# Trial {best.number} of {command}\n# Objective {best.value:+.4%} against the reference.\n"
        write_file(path, head + yaml.safe_dump(config.dump(), sort_keys=False, allow_unicode=True))
        paths.append(path)
    return paths


def record_trial(folder: Path, outcome: Outcome) -> None:
    """One trial as a TensorBoard run: the objective at each rung, and its options beside the last for HParams."""
    from torch.utils.tensorboard import SummaryWriter

    place = folder / "trials" / f"trial-{outcome.number:04d}"
    if not outcome.rungs or place.exists():
        return
    plain = {
        short(path): v if isinstance(v, bool | int | float | str) else str(v) for path, v in outcome.values.items()
    }
    with SummaryWriter(str(place)) as writer:
        for rung, value in enumerate(outcome.rungs, 1):
            writer.add_scalar("tune/objective", value, rung)
        hparams = plain | {"state": outcome.state}
        writer.add_hparams(
            hparams, {"final/objective": outcome.rungs[-1]}, run_name=".", global_step=len(outcome.rungs)
        )


# ------------------------------------------------------------------------------------------------ terminal


def _equal(done: Sequence[Outcome]) -> bool:
    """Whether several trials have one objective, but for what rounding makes of it."""
    values = [one.value or 0.0 for one in done]
    return len(values) > 1 and max(values) - min(values) <= EQUAL


def tables(found: Sequence[Outcome], setup: TrialSetup, shares: Mapping[str, float]) -> list[Table]:
    """The best trials, and how much each option matters."""
    done = sorted((one for one in found if one.value is not None), key=lambda one: (-(one.value or 0), one.number))
    notes = [*map(Note, told("tuning.txt", "found", trials=found, done=done, shares=shares, equal=_equal(done)))]
    if not done:
        return [Table("", (), (), notes)]
    several = setup.cases if len(setup.cases) > 1 else ()
    columns = [Column("trial", align="right"), Column("objective", GAIN)]
    columns += [Column(case.name, GAIN) for case in several] + [Column(short(path)) for path in done[0].values]
    rows: list[list[Cells]] = []
    for one in done[:SHOWN]:
        gains = [min(some) if setup.worst else sum(some) / len(some) for some in one.gains if several]
        rows.append([str(one.number), one.value, *gains, *map(text_of, one.values.values())])
    (title,) = told("tuning.txt", "title", setup=setup)
    return [Table(title, columns, rows, notes, narrow="split")]
