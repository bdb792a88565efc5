"""How the processes of the tests share the work: who begins with what, and who compiles."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from filelock import FileLock

from tests.helpers.shared import shared_place

# The dearest files first, so that all processes end together; the first compiles the kernel, which the second does
# without.
DEAR = (
    "kernel/test_choice.py",
    "calibration/test_sales_checks.py",
    "learners/test_learners.py",
    "calibration/test_orange_juice_sales.py",
    "house/test_documents.py",
    "training/test_resume.py",
    "selfplay/test_modes.py",
    "learners/test_recurrent.py",
    "cli/test_surface.py",
    "studies/test_reproduce.py",
    "studies/test_tournament.py",
    "evaluation/test_evaluate.py",
    "calibration/test_answers.py",
    "studies/test_resume_seeds.py",
    "studies/test_tune.py",
    "calibration/test_calibration.py",
    "studies/test_exploit.py",
    "calibration/test_validation.py",
    "training/test_divergence.py",
    "evaluation/test_run_sellers.py",
    "demand/test_replay.py",
    "common/test_files.py",
    "calibration/test_uncertainty.py",
    "training/test_training.py",
    "studies/test_train_seeds.py",
    "studies/test_tabular.py",
    "studies/test_bench.py",
    "cli/test_cli.py",
)


def dear_first(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(DEAR)}
    items.sort(key=lambda item: places.get("/".join(item.path.parts[-2:]), len(DEAR)))


def compile_in_turn() -> None:
    """In a fresh checkout several processes would compile the same function at once: the later ones wait and find it cached."""
    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.dispatcher import Dispatcher

    compiling, held = Dispatcher.compile, dict[str, FileLock]()

    def in_turn(self: Any, signature: Any) -> Any:
        if not hasattr(self._cache, "_cache_file"):
            return compiling(self, signature)
        name = f"{self.py_func.__module__}.{self.py_func.__name__}"
        with global_compiler_lock, held.setdefault(name, FileLock(shared_place() / f"{name}.compiled")):
            return compiling(self, signature)

    Dispatcher.compile = in_turn


def compile_nothing_unasked() -> None:
    """Tianshou compiles, in every process, loops that only its own algorithms call: they compile when they are called."""
    module: Any = sys.modules.get("tianshou.algorithm.algorithm_base")
    if module is not None:
        module.Policy._compile = staticmethod(lambda: None)
