"""The configurations that come with the package, found by name from any folder."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def builtin() -> dict[str, Path]:
    """The built-in configurations by name: in the package where it is installed, beside it in a checkout."""
    found = sorted((PACKAGE / "configs").glob("*.yaml")) or sorted((PACKAGE.parent / "configs").glob("*.yaml"))
    return {path.stem: path for path in found}


def find(path: str | Path) -> Path:
    """The file that is meant: ``path``, or where nothing is there and it is a bare name, the built-in configuration."""
    path = Path(path)
    if path.exists() or path.name != str(path):
        return path
    return builtin().get(path.name, path)


def hint(path: str | Path) -> str:
    """What to add to a message about a bare name that is nothing."""
    bare = Path(path).name == str(path) and not Path(path).suffix
    return f"; the built-in ones are {', '.join(builtin())}" if bare else ""
