"""Imports run one way (DESIGN section 4): the market knows no seller, judging a seller needs no trainer."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = {  # a package is its __init__
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for part in ("market", "policies")
    for path in (ROOT / part).rglob("*.py")
}
FOUNDATION = ["errors", "spec", "layout", "kernel", "observation", "decisions", "batch", "env", "interop"]
WITHOUT_TIANSHOU = ["seller", "fixed", "networks", "evaluation", "judge", "stress", "impulse", "deviate", "strategies"]
WITHOUT_TIANSHOU += ["tournament", "theory_tables", "report", "policy_map", "frozen", "subjects", "saved_mixture"]
LEARNING = {"torch", "tianshou", "tensorboard", "policies"}


def imports(path: Path, lazy: bool = True) -> Iterator[str]:
    """Full names of what a file imports; ``lazy``: also inside functions. Types alone do not count."""
    todo: list[ast.AST] = [ast.parse(path.read_text())]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
        elif lazy or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            todo += ast.iter_child_nodes(node)


def internal(module: str, lazy: bool = True) -> set[str]:
    """The project's modules that a module imports: of ``market.kernel.tape.key`` the longest name that is one."""
    parts = [name.split(".") for name in imports(MODULES[module], lazy)]
    prefixes = [[".".join(name[:end]) for end in range(len(name), 0, -1)] for name in parts]
    return {next((prefix for prefix in tried if prefix in MODULES), module) for tried in prefixes} - {module}


def reached(module: str) -> set[str]:
    """All of the project's modules that importing a module brings along."""
    found, todo = {module}, [module]
    while todo:
        new = internal(todo.pop(), lazy=False) - found
        found |= new
        todo += new
    return found


def second(module: str) -> str:
    """``kernel`` of ``market.kernel.tape``, and "" of modules elsewhere."""
    return module.split(".")[1] if module.startswith("market.") else ""


def packages(module: str, lazy: bool = True) -> set[str]:
    return {name.split(".")[0] for name in imports(MODULES[module], lazy)}


def test_the_walk_sees_imports_of_every_form(tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    file.write_text(
        "import a.b\nfrom c import d\ntry:\n    import e\nexcept ImportError:\n    pass\n"
        "def f():\n    import g\nif TYPE_CHECKING:\n    import h\n"
    )
    assert set(imports(file)) == {"a.b", "c.d", "e", "g"} and set(imports(file, lazy=False)) == {"a.b", "c.d", "e"}
    assert "market.spec" in internal("market.batch") and "market.errors" in reached("market.batch")


@pytest.mark.parametrize("module", [name for name in MODULES if name.split(".")[0] == "market"])
def test_the_market_knows_no_seller_and_no_learning_library(module: str) -> None:
    assert not packages(module) & LEARNING


@pytest.mark.parametrize("module", MODULES)
def test_pictures_are_imported_only_when_drawn(module: str) -> None:
    assert "matplotlib" not in packages(module, lazy=False)


def test_no_module_imports_itself_by_a_detour() -> None:
    order = list(TopologicalSorter({module: internal(module) for module in MODULES}).static_order())
    assert set(order) == set(MODULES)


@pytest.mark.parametrize("module", [name for name in MODULES if second(name) in FOUNDATION])
def test_the_markets_modules_import_only_those_below(module: str) -> None:
    above = FOUNDATION[FOUNDATION.index(second(module)) + 1 :]
    assert not {second(other) for other in internal(module)} & set(above)


@pytest.mark.parametrize("module", [f"policies.{name}" for name in WITHOUT_TIANSHOU if f"policies.{name}" in MODULES])
def test_judging_a_seller_needs_no_trainer(module: str) -> None:
    assert not {other for other in reached(module) if "tianshou" in packages(other, lazy=False)}


def compiled(module: str) -> dict[str, ast.FunctionDef]:
    """The module's functions that numba compiles, by name."""
    found = [node for node in ast.parse(MODULES[module].read_text()).body if isinstance(node, ast.FunctionDef)]
    decorators = {node.name: [ast.unparse(one) for one in node.decorator_list] for node in found}
    return {node.name: node for node in found if any(d.startswith("compiled(") for d in decorators[node.name])}


def test_what_is_compiled_lives_in_the_kernel() -> None:
    """A cache is fresh by the sources of ``market/kernel`` and of the function's own file: it may call no others."""
    homes = {module for module in MODULES if compiled(module)}
    inside = {home for home in homes if home.startswith("market.kernel.")}
    assert homes - inside == {"market.sweeps"}
    assert all(second(other) == "kernel" for home in inside for other in internal(home))
    assert [module for module in MODULES if "njit" in MODULES[module].read_text()] == ["market.kernel.jit"]


HEAVY = {"market.env": LEARNING | {"matplotlib"}, "market.batch": LEARNING | {"matplotlib"}}
HEAVY |= {"policies.evaluation": {"tianshou", "tensorboard", "matplotlib"}}


@pytest.mark.parametrize("module", [module for module in HEAVY if module in MODULES])
def test_importing_brings_nothing_heavy(module: str) -> None:
    """In a fresh interpreter, so that what third parties bring along counts too."""
    code = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & HEAVY[module]
