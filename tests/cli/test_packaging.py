"""What is handed on: a source archive with its tests, a wheel with all that is no module, and what both say of it."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_string
from email.message import Message
from functools import cache
from pathlib import Path

import pytest

from bazaar_start import VERSION
from tests.helpers.started import NAMES, started

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BUILD = "import sys; from setuptools import build_meta as build; getattr(build, sys.argv[1])(sys.argv[2])"
PASSED_OVER = ("*.py[cod]", "__pycache__", ".*cache", ".git", ".venv", ".hypothesis", "runs", "*.egg-info", "build")
POSIX = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "posix", "curses", "readline"}
POSIX_CALLS = {"killpg", "fork", "forkpty", "setsid", "setpgid", "getpgid", "getuid", "geteuid", "mkfifo", "nice"}


def files(folder: Path) -> set[str]:
    """What belongs to the packages, without what running them leaves."""
    found = (path for part in ("market", "policies") for path in (folder / part).rglob("*"))
    kept = (path.relative_to(folder).as_posix() for path in found if path.is_file() and "__pycache__" not in path.parts)
    return {name for name in kept if not name.startswith("market/configs/")}


def build(kind: str, source: Path, place: Path) -> Path:
    place.mkdir()
    subprocess.run(
        [sys.executable, "-c", BUILD, f"build_{kind}", str(place)], cwd=source, capture_output=True, check=True
    )
    (made,) = place.iterdir()
    return made


@pytest.fixture(name="unpacked", scope="module")
def _unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source archive, unpacked; it is built of a copy, since a build leaves files that would go into the next one."""
    folder = tmp_path_factory.mktemp("packaging")
    shutil.copytree(ROOT, folder / "copy", ignore=shutil.ignore_patterns(*PASSED_OVER))
    with tarfile.open(build("sdist", folder / "copy", folder / "sdist")) as archive:
        archive.extractall(folder, filter="data")
    (made,) = folder.glob("bazaar_market-*")
    return made


@pytest.fixture(name="wheel", scope="module")
def _wheel(unpacked: Path) -> Path:
    """The wheel that the source archive makes, unpacked."""
    home = unpacked.parent / "home"
    with zipfile.ZipFile(build("wheel", unpacked, unpacked.parent / "wheel")) as packed:
        packed.extractall(home)
    return home


@pytest.mark.slow
def test_a_wheel_holds_every_module_and_what_is_no_module(wheel: Path, tmp_path: Path) -> None:
    held = files(wheel)
    assert held == {name for name in files(ROOT) if not name.endswith(".md")}
    texts = {"market/calibration/market_file.yaml.j2", "market/metrics/glossary.yaml"}
    assert {"market/py.typed", "policies/py.typed", "policies/views/templates/style.css"} | texts <= held
    assert {path.stem for path in (wheel / "market" / "configs").glob("*.yaml")} == NAMES
    assert (wheel / "bazaar_start.py").is_file() and not (wheel / "tests").exists()
    done = started(tmp_path, "configs", home=wheel)
    assert done.returncode == 0 and all(name in done.stdout for name in NAMES)
    (tmp_path / "market").mkdir()
    (tmp_path / "market" / "__init__.py").touch()
    assert f"{wheel / 'market'}" in started(tmp_path, "--version", home=wheel).stderr


@pytest.mark.slow
def test_the_tests_of_a_source_archive_can_be_collected(unpacked: Path) -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n", "0", "-p", "no:cacheprovider"]
    given = os.environ | {"PYTHONPATH": str(unpacked)}
    done = subprocess.run(command, cwd=unpacked, env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    here = {path.relative_to(ROOT) for path in (ROOT / "tests").rglob("test_*.py")}
    assert here == {path.relative_to(unpacked) for path in (unpacked / "tests").rglob("test_*.py")}


@pytest.mark.slow
def test_what_is_handed_on_says_who_made_it_and_what_it_runs_on(wheel: Path) -> None:
    (place,) = wheel.glob("*.dist-info")
    about: Message = message_from_string((place / "METADATA").read_text(encoding="utf-8"))
    assert about["Version"] == VERSION and about["Author"] == "Bazaar developers"
    assert about["License-Expression"] == "MIT"
    assert about["Requires-Python"] == "<3.13,>=3.11" and "Typing :: Typed" in about.get_all("Classifier", [])
    assert (place / "entry_points.txt").read_text().split() == ["[console_scripts]", "bazaar", "=", "bazaar_start:main"]
    assert about.get_all("Project-URL") is None and about["Home-page"] is None  # it has no home but this archive


def test_every_package_that_is_imported_is_declared() -> None:
    """Under the names that are imported; what a declared one cannot be without is not declared again."""
    names = {"yaml": "pyyaml", "sklearn": "scikit-learn"}
    names |= {"python_calamine": "python-calamine", "charset_normalizer": "charset-normalizer"}
    names["prometheus_client"] = "prometheus-client"
    brought = {"tensorboard": {"google"}, "tianshou": {"sensai"}, "matplotlib": {"mpl_toolkits"}}
    brought |= {"jinja2": {"markupsafe"}, "fastapi": {"starlette"}}
    wanted = [*PROJECT["dependencies"], *(one for extra in PROJECT["optional-dependencies"].values() for one in extra)]
    declared = {re.split(r"[<>=\[ ]", one)[0] for one in wanted}
    declared |= {name for one, more in brought.items() if one in declared for name in more}
    found = {name for path in sources() for name in imported(path)} - set(sys.stdlib_module_names)
    assert {names.get(name, name) for name in found} - {"market", "policies", "bazaar_start"} <= declared


def test_nothing_that_only_posix_has_is_needed() -> None:
    for path in sources():
        assert not imported(path) & POSIX, path
        calls = {node.attr for node in ast.walk(parsed(path)) if isinstance(node, ast.Attribute)}
        assert not calls & POSIX_CALLS, path


def sources() -> list[Path]:
    return [
        ROOT / "bazaar_start.py",
        *(path for part in ("market", "policies") for path in (ROOT / part).rglob("*.py")),
    ]


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> set[str]:
    """The first names of all that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(parsed(path)):
        names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
        found |= {name.partition(".")[0] for name in names}
    return found
