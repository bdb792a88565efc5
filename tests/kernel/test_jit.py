"""The kernel's compiled functions are cached, and none runs the old code of a function of another file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import FunctionType, SimpleNamespace

import numpy as np
import pytest

from market.kernel import jit

KERNEL = Path(jit.__file__).parent
# ``tape.autoregress`` calls ``randomness.normal``, which calls ``uniform`` and ``mix`` of its own file
PROBE = """
import numpy as np
from market.kernel.randomness import normal
from market.kernel.tape import autoregress
print(normal(np.array([7], np.uint64), 0), autoregress(np.array([7], np.uint64), 0, 0.0, 0, 1.0, 0.5))
print(*[sum(function.stats.cache_hits.values()) for function in (normal, autoregress)])
"""


def probed(folder: Path) -> tuple[list[float], list[int]]:
    """What callee and caller return in a fresh process that imports the copy, and how often each met its cache."""
    changes = {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    kept = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", PROBE], cwd=folder, env=kept | changes, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    values, hits = done.stdout.splitlines()
    return [float(x) for x in values.split()], [int(x) for x in hits.split()]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with the kernel alone, as the package that it is, and nothing cached."""
    (tmp_path / "market").mkdir()
    (tmp_path / "market" / "__init__.py").touch()
    shutil.copytree(KERNEL, tmp_path / "market" / "kernel", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_a_caller_runs_the_new_code_of_a_callee_in_another_file(copy: Path) -> None:
    drawn, hits = probed(copy)
    assert hits == [0, 0] and drawn[0] == drawn[1]
    assert probed(copy) == (drawn, [1, 1])  # nothing edited: both come from the cache
    callee = copy / "market" / "kernel" / "randomness.py"
    text = callee.read_text()
    edited = text.replace("return radius *", "return 4.0 * radius *")
    assert edited != text
    callee.write_text(edited)
    assert probed(copy) == ([4.0 * drawn[0], 4.0 * drawn[1]], [0, 0])


def test_the_stamp_covers_the_package_and_the_functions_own_file(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    stamps = set()
    for text in ("", "x = 1", "x = 2"):
        own.write_text(text)
        stamps.add(jit.source_stamp.__wrapped__(str(own)))
    assert len(stamps) == 3 and None not in stamps
    assert jit.source_stamp(str(KERNEL / "tape.py")) == jit.source_stamp(str(KERNEL / "choice.py"))
    assert jit.source_stamp(str(tmp_path / "nowhere.py")) is None


def twice(x):
    return 2.0 * x


def test_a_cache_that_could_be_stale_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hasattr(jit.compiled()(twice)._cache, "_cache_file")
    assert not jit.stamped(SimpleNamespace(_cache=SimpleNamespace(_cache_file=SimpleNamespace())), "a stamp")
    monkeypatch.setattr(jit, "stamped", lambda dispatcher, stamp: False)
    function = jit.compiled()(twice)
    assert function(np.float64(4)) == 8 and not hasattr(function._cache, "_cache_file")


def test_without_a_place_for_a_cache_functions_compile_all_the_same() -> None:
    """A function that comes from no file, as in ``python -c``, has no place."""
    code = compile("lambda x: 3.0 * x", "<string>", "eval").co_consts[0]
    assert jit.compiled()(FunctionType(code, {}))(np.float64(4)) == 12


def test_compiling_is_told_once_and_not_where_it_is_cached(tmp_path: Path) -> None:
    code = (
        "import logging, sys; logging.basicConfig(level=logging.INFO, stream=sys.stdout, format='%(message)s')\n"
        "import numpy as np; from market.kernel.randomness import unit, uniform\n"
        "unit(np.uint64(1)); uniform(np.zeros(1, np.uint64), 0)"
    )
    env = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", code]
    said = [subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout for _ in range(2)]
    assert said == ["compiling the market's code, once: about half a minute ...\n", ""]
