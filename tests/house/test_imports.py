"""Imports run one way, from rooms to the rooms above them; what each room may bring along."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for part in ("market", "policies")
    for path in (ROOT / part).rglob("*.py")
    if path.name != "__init__.py"
}
ROOMS = [  # each may import what stands above it
    *("market.errors", "market.state", "market.salesfile", "market.spec", "market.demand", "market.kernel"),
    *("market.simulation", "market.theory", "market.metrics", "market.envs", "market.calibration", "market.forecast"),
    *("policies.common", "policies.views", "policies.config", "policies.networks", "policies.sellers"),
    *("policies.storage", "policies.evaluation", "policies.games", "policies.explain", "policies.learners"),
    *("policies.selfplay", "policies.training", "policies.studies", "policies.sales", "policies.report"),
    *("policies.deployment", "policies.serving", "policies.updating"),
    "policies.cli",
]
WITHOUT_TIANSHOU = [
    "policies.networks",
    "policies.sellers",
    "policies.evaluation",
    "policies.games",
    "policies.explain",
]
WITHOUT_TIANSHOU += [
    f"policies.{name}" for name in ("views", "common", "storage", "report", "deployment", "serving", "studies.deviate")
]
WITHOUT_TIANSHOU += [f"policies.studies.{name}" for name in ("tournament", "theory", "calvano.strategies")]
LEARNING = {"torch", "tianshou", "tensorboard", "policies"}
MOST_FILES = 14


def imports(path: Path, lazy: bool = True) -> Iterator[tuple[str, int]]:
    """Full names of what a file imports, with the line; ``lazy``: also inside functions. Types alone do not count."""
    todo: list[ast.AST] = [ast.parse(path.read_text())]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno}: imports are absolute"
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
        elif lazy or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            todo += ast.iter_child_nodes(node)


def inside(module: str, places: list[str]) -> str | None:
    """Which of the places a module's name lies in."""
    return next((place for place in places if module == place or module.startswith(place + ".")), None)


@cache
def internal(module: str, lazy: bool = True) -> set[str]:
    """The project's modules that a module imports."""
    names = {name for name, _ in imports(MODULES[module], lazy)}
    return {known for name in names for known in (name, name.rpartition(".")[0]) if known in MODULES} - {module}


def reached(module: str) -> set[str]:
    """All of the project's modules that importing a module brings along."""
    found, todo = {module}, [module]
    while todo:
        new = internal(todo.pop(), lazy=False) - found
        found |= new
        todo += new
    return found


def packages(module: str, lazy: bool = True) -> set[str]:
    return {name.split(".")[0] for name, _ in imports(MODULES[module], lazy)}


def test_the_walk_sees_imports_of_every_form(tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    file.write_text(
        "import a.b\nfrom c import d\ntry:\n    import e\nexcept ImportError:\n    pass\n"
        "def f():\n    import g\nif TYPE_CHECKING:\n    import h\n"
    )
    assert {name for name, _ in imports(file)} == {"a.b", "c.d", "e", "g"}
    assert {name for name, _ in imports(file, lazy=False)} == {"a.b", "c.d", "e"}
    batch = "market.simulation.batch"
    assert "market.state" in internal(batch) and "market.errors" in reached(batch)
    assert inside("policies.views.table", ROOMS) == "policies.views" and inside("market.spectre", ROOMS) is None


def test_every_module_stands_in_a_room() -> None:
    assert [module for module in MODULES if inside(module, ROOMS) is None] == []


def test_rooms_import_only_rooms_above_them() -> None:
    wrong = []
    for module, path in MODULES.items():
        allowed = ROOMS[: ROOMS.index(inside(module, ROOMS) or "") + 1]
        for name, line in imports(path):
            if inside(name, ["market", "policies"]) and inside(name, ROOMS) not in allowed:
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    assert wrong == []


def test_no_module_imports_itself_by_a_detour() -> None:
    order = list(TopologicalSorter({module: internal(module) for module in MODULES}).static_order())
    assert set(order) == set(MODULES)


def test_the_market_knows_no_seller_and_no_learning_library() -> None:
    assert [module for module in MODULES if module.startswith("market.") and packages(module) & LEARNING] == []


def test_pictures_are_imported_only_when_drawn() -> None:
    assert [module for module in MODULES if "matplotlib" in packages(module, lazy=False)] == []


def test_judging_a_seller_needs_no_trainer() -> None:
    trainers = {module for module in MODULES if "tianshou" in packages(module, lazy=False)}
    judging = [module for module in MODULES if inside(module, WITHOUT_TIANSHOU)]
    assert trainers and judging
    assert {module: reached(module) & trainers for module in judging if reached(module) & trainers} == {}


def test_folders_say_what_lives_there_and_are_not_crowded() -> None:
    for folder in {path.parent for path in MODULES.values()}:
        files = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
        assert said, f"{folder.relative_to(ROOT)}/__init__.py: says nothing"
        assert len(files) <= MOST_FILES, folder


def compiled(module: str) -> set[str]:
    """The module's functions that numba compiles."""
    found = [node for node in ast.parse(MODULES[module].read_text()).body if isinstance(node, ast.FunctionDef)]
    return {one.name for one in found if any(ast.unparse(d).startswith("compiled(") for d in one.decorator_list)}


def test_what_numba_compiles_lies_where_its_cache_is_stamped() -> None:
    """Functions outside the kernel's package may be compiled when they call nothing compiled of another file."""
    outside = {module for module in MODULES if compiled(module) and not inside(module, ["market.kernel"])}
    assert outside == {"market.theory.bellman"}
    borrowed = {name for module in outside for name, _ in imports(MODULES[module]) if inside(name, ["market.kernel"])}
    assert borrowed == {"market.kernel.jit.compiled"}
    assert [module for module in MODULES if "njit(" in MODULES[module].read_text()] == ["market.kernel.jit"]


HEAVY = {"market.envs.parallel": LEARNING | {"matplotlib"}, "market.simulation.batch": LEARNING | {"matplotlib"}}
HEAVY |= {"policies.evaluation.compare": {"tianshou", "tensorboard", "matplotlib"}}


@pytest.mark.parametrize("module", HEAVY)
def test_importing_brings_nothing_heavy(module: str) -> None:
    """In a fresh interpreter, so that what third parties bring along counts too."""
    code = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & HEAVY[module]
