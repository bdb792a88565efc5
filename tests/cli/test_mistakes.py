"""A mistake is told before anything heavy is imported: counted in modules, never in seconds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from policies.cli.commands import COMMANDS
from policies.cli.main import main

ROOT = Path(__file__).parents[2]
HEAVY = {
    *("torch", "tianshou", "numba", "pandas", "pyarrow", "gymnasium", "pettingzoo", "supersuit", "matplotlib"),
    *("tensorboard", "optuna", "sqlalchemy", "sklearn", "plotly", "nashpy", "ray", "pyblp", "statsforecast"),
}
SCIPY = {f"scipy.{name}" for name in ("stats", "optimize", "sparse", "integrate", "interpolate", "spatial")}

MISTAKES: dict[str, str] = {
    "train nosuch": "nosuch: cannot be read",
    "train duopoly --budgt 3": "--budgt: unknown option",
    "train duopoly --seed x": "--seed: must be",
    "train duopoly --name a/b": "--name 'a/b': must be a plain",
    "train duopoly --set maket.horizon=3": "maket: unknown key",
    "train duopoly --set market.horizn=3": "market.horizn: unknown key",
    "train duopoly --set learners.dqn.gama=1": "learners.dqn.gama: unknown key",
    "train duopoly --set seats.left=dqnn": "seats.left: 'dqnn' is neither a learner",
    "train duopoly --set seats.left=nsh+base_stock": "seats.left.pricing: unknown rule",
    "train duopoly --set seats.lef=dqn": "seats.lef: no such seller",
    "train duopoly --set seats={left:nash,right:nash}": "seats",
    "train duopoly --set evaluation.line_ups=[nsh]": "evaluation.line_ups.0.pricing: unknown rule",
    "train duopoly --set selfplay=leage": "selfplay",
    "train": "the following arguments are required",
    "train nosuch --seeds 2": "nosuch: cannot be read",
    "train duopoly --runs run/config.yaml": "--runs run/config.yaml: is not a folder",
    "train duopoly --runs run/config.yaml/runs": "--runs run/config.yaml/runs: run/config.yaml is a file, not a folder",
    "tune duopoly --trials 2 --runs run/config.yaml/runs": "run/config.yaml is a file, not a folder",
    "tournament run nash --runs run/config.yaml/runs": "run/config.yaml is a file, not a folder",
    "reproduce calvano --runs run/config.yaml/runs": "run/config.yaml is a file, not a folder",
    "evaluate run --json x.json --csv x.json": "x.json: two options name it",
    "deviate run --seller left --json ./x --png x": "x: two options name it",
    "train --resume nosuch": "--resume nosuch: there is no such run",
    "tune nosuch --trials 2": "nosuch: cannot be read",
    "tune duopoly --trials 2 --learner dqnn": "--learner dqnn: unknown learner",
    "tune duopoly --trials 2 --set learners.dqn.gama=1": "learners.dqn.gama: unknown key",
    "evaluate nosuch": "nosuch: cannot be read",
    "evaluate duopoly --seller nsh": "--seller.pricing: unknown rule",
    "evaluate duopoly --seller nash --seat middle": "--seat middle: the market's sellers",
    "evaluate duopoly --seller nash --against nsh": "--against.pricing: unknown rule",
    "evaluate duopoly --seller nash --json nosuch/x.json": "the folder nosuch does not exist",
    "evaluate duopoly --seller nash --against runs/nosuch": "--against runs/nosuch: is neither a run's folder nor rules",
    "evaluate monopoly --seller cost_plus --against runs/nosuch": "--against runs/nosuch: is neither a run's folder nor",
    "evaluate run --seller middle": "--seller middle: the run's trained sellers are left, right",
    "evaluate run --set market.horizn=3": "market.horizn: unknown key",
    "report nosuch": "nosuch: is not a run's folder",
    "tournament nosuch nash": "give --config FILE or a run",
    "tournament run nsh": "entry 2.pricing: unknown rule",
    "tournament runs/nosuch nash": "runs/nosuch: is neither a run's folder nor rules",
    "exploit nosuch": "nosuch: is not a run's folder",
    "exploit run --seller middle": "--seller middle: the market's sellers",
    "deviate nosuch --seller left": "nosuch: is not a run's folder",
    "deviate run --seller middle": "--seller middle: the market's sellers",
    "deviate run --seller left --to nsh": "--to.pricing: unknown rule",
    "decide nosuch state.yaml": "nosuch: is not a run's folder",
    "decide run": "the following arguments are required: STATE",
    "decide run nosuch.yaml": "nosuch.yaml: no such file",
    "decide run --seller middle": "--seller middle: the run's trained sellers are left, right",
    "decide run --template nosuch/x.yaml": "the folder nosuch does not exist",
    "serve nosuch": "nosuch: is not a run's folder",
    "serve run --port 70000": "--port: must be from 0 to 65535",
    "serve run --mode dark": "--mode: must be live or shadow, got 'dark'",
    "serve run --token nosuch": "--token nosuch: no such file",
    "serve run --host 0.0.0.0": "--host 0.0.0.0: others can reach it",
    "shadow nosuch.db": "nosuch.db: no such file",
    "update nosuch --rollback": "nosuch: is not a run's folder",
    "update run": "one of --sales, --db and --rollback says what to do; none given",
    "update run --sales x.csv --rollback": "--sales and --rollback given",
    "update run --sales nosuch.csv": "--sales nosuch.csv: no such file",
    "update run --db nosuch.db": "--db nosuch.db: no such file",
    "update run --seller middle --rollback": "--seller middle: the run's trained sellers are left, right",
    "update run --seller left --rollback": "run: left is the run's own seller: there is nothing to roll back",
    "update run --sales x.csv --force nosuch": "--force: must be of fractions",
    "export nosuch -o x": "nosuch: is not a run's folder",
    "export run --seller middle -o x": "--seller middle: the run's trained sellers are left, right",
    "export run --seller left -o run": "run: exists already and is not written over",
    "theory nosuch": "nosuch: cannot be read",
    "theory duopoly --seat middle": "--seat middle: the market's sellers",
    "theory duopoly --set market.horizn=3": "market.horizn: unknown key",
    "sales nosuch.csv -o x.csv": "nosuch.csv: no such file",
    "calibrate nosuch.csv -o x.yaml": "nosuch.csv: no such file",
    "record nosuch -o x.csv": "nosuch: cannot be read",
    "record duopoly -o x.csv --rules nsh": "--rules.pricing: unknown rule",
    "forecast nosuch.csv --horizon 2": "nosuch.csv: no such file",
    "reproduce calvan": "calvan: unknown experiment",
    "reproduce calvano --set market.horizn=3": "market.horizn: unknown key",
    "configs nosuch": "nosuch: no such built-in",
    "board nosuch": "nosuch: there is no such folder",
    "bench --only nosuch": "--only: must be of batch,",
}

CODE = """
import contextlib, io, json, sys
from policies.cli.main import main
from policies.common import console
console.PAUSE = 1e6  # no word of how long a slow machine takes
for words in json.loads(sys.argv[1]):
    said, before = io.StringIO(), set(sys.modules)
    with contextlib.redirect_stderr(said):
        status = main(words.split())
    print(json.dumps([words, status, said.getvalue(), sorted({*sys.modules} - before)]))
"""


@pytest.fixture(scope="module", name="told")
def _told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All mistakes in one process, which imports nothing heavy to the end: status, message and modules by words."""
    folder = tmp_path_factory.mktemp("mistakes")
    (folder / "run").mkdir()
    shutil.copy(ROOT / "configs" / "duopoly.yaml", folder / "run" / "config.yaml")
    given: dict[str, Any] = {"env": os.environ | {"PYTHONPATH": str(ROOT)}, "capture_output": True, "text": True}
    found = subprocess.run([sys.executable, "-c", CODE, json.dumps(list(MISTAKES))], cwd=folder, check=True, **given)
    assert sorted(path.name for path in folder.rglob("*")) == ["config.yaml", "run"]
    return {words: rest for words, *rest in map(json.loads, found.stdout.splitlines())}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_told_before_anything_heavy_is_imported(words: str, told: dict[str, Any]) -> None:
    status, said, modules = told[words]
    assert status == 2 and MISTAKES[words] in said and said.count("\n") == 1
    assert {name.split(".")[0] for name in modules} & HEAVY == set()
    assert set(modules) & SCIPY == set()


def test_an_empty_word_is_named_and_is_no_folder(capsys: pytest.CaptureFixture[str]) -> None:
    """As of a shell's variable that is not set: it would be read as the folder where one is."""
    assert main(["evaluate", "duopoly", "--against", ""]) == 2
    assert "nothing stands behind 'evaluate duopoly --against'" in capsys.readouterr().err


def test_every_command_has_a_mistake_here() -> None:
    assert {words.split()[0] for words in MISTAKES} == set(COMMANDS)


def test_the_end_searches_no_garbage() -> None:
    """What was imported is frozen when a command has ended: Python's own last search of it took seconds."""
    code = "import gc, sys; from policies.cli.main import main; sys.argv = ['bazaar', 'configs']; main()"
    given: dict[str, Any] = {"env": os.environ | {"PYTHONPATH": str(ROOT)}, "capture_output": True, "text": True}
    ended = f"{code}; print(len(gc.get_objects()) < 1000 < gc.get_freeze_count())"
    assert subprocess.run([sys.executable, "-c", ended], check=True, **given).stdout.endswith("\nTrue\n")
