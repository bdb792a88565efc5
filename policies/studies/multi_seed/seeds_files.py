"""Files of a seed's run on their way between two machines, and whether there is a way to go.

Where the one who asked and the one who trains see the same folder, nothing travels. Elsewhere the run's files come
back as they change, so that a folder of several seeds is the same wherever they were trained, and a run can go on from
it. The order in which files are written makes it so at every moment: a state never stands beside older metrics.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from policies.common import files as disk
from policies.storage.run_folder import SEEDS
from policies.storage.training_state import FOLDER as STATE

Files = dict[str, bytes | None]  # by path in the run's folder; None: is no longer there
PROOF = "proof"


def run_name(seed: int) -> str:
    """The folder of a seed's run in that of all."""
    return f"seed-{seed}"


def sees(folder: Path, proof: str) -> bool:
    """Whether the folder of several seeds at this path is the one in which ``proof`` was written, and can be used."""
    try:
        said = json.loads((folder / SEEDS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(said, dict) and said.get(PROOF) == proof and os.access(folder, os.W_OK)


def read_files(folder: Path) -> Files:
    """All files of a run as they stand."""
    return {name: path.read_bytes() for name, path in _present(folder).items()}


def write_files(folder: Path, files: Files) -> None:
    """Write files that were sent, states after all else, and remove last what is gone."""
    for name, content in sorted(files.items(), key=lambda item: (_is_state(item[0]), item[0])):
        if content is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            disk.replace(folder / name, content)
    for name in (name for name, content in files.items() if content is None):
        (folder / name).unlink(missing_ok=True)


class Changed:
    """Reads those files of a run that changed since they were read, or came, last."""

    def __init__(self, folder: Path, came: Files) -> None:
        self._folder = folder
        write_files(folder, came)
        self._known = {name: _stamp(path) for name, path in _present(folder).items()}

    def __call__(self, states: bool = True) -> Files:
        """What changed; without ``states`` that of the whole run is left for later."""
        there = {name: path for name, path in _present(self._folder).items() if states or not _is_state(name)}
        found: Files = {}
        for name, path in there.items():
            if self._known.get(name) != _stamp(path):
                self._known[name], found[name] = _stamp(path), path.read_bytes()
        for name in [name for name in self._known if name not in there and (states or not _is_state(name))]:
            del self._known[name]
            found[name] = None
        return found

    def new_state(self) -> bool:
        """Whether the whole run was kept since."""
        return any(_is_state(name) and name not in self._known for name in _present(self._folder))


def _present(folder: Path) -> dict[str, Path]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".part")
    return {path.relative_to(folder).as_posix(): path for path in found}


def _is_state(name: str) -> bool:
    return name.startswith(f"{STATE}/")


def _stamp(path: Path) -> tuple[int, int]:
    about = path.stat()
    return about.st_mtime_ns, about.st_size
