"""A disk that refuses: one message with the file and what to do, and the last good checkpoint is intact."""

from __future__ import annotations

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest
from tensorboard.compat.tensorflow_stub.io import gfile

from market.errors import UserError
from policies.common import files
from policies.storage.training_state import RunState, unpack
from policies.training import loop
from policies.training.resume import resume
from policies.training.train import train
from tests.helpers.real_runs import SHORT, assert_the_same, three_learners, whole_run


def begin(folder: Path, name: str) -> None:
    train(three_learners(folder, SHORT), device="cpu", name=name, runs=folder / "runs", checkpoint_every=1e-9)


def after_periods(patch: pytest.MonkeyPatch, periods: int, then: Any) -> None:
    real, count = loop.play_period, [0]

    def wrapped(training: Any) -> Any:
        count[0] += 1
        if count[0] == periods:
            then()
        return real(training)

    patch.setattr(loop, "play_period", wrapped)


class Full:
    """A file on a full disk."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, _: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def fill(patch: pytest.MonkeyPatch, part: str) -> None:
    """From now on, files whose name holds ``part`` cannot be written."""

    def full(real: Any) -> Any:
        def opened(path: Any, mode: str = "r", *given: Any, **named: Any) -> Any:
            file = real(path, mode, *given, **named)
            return Full(file) if part in str(path) and ("w" in mode or "a" in mode) else file

        return opened

    patch.setattr(files, "open", full(open), raising=False)
    patch.setattr(gfile, "open", full(open), raising=False)
    patch.setattr(gfile.io, "open", full(open))


@pytest.mark.parametrize("part", [".state", ".latest.pt", "events.out.tfevents"])
def test_a_full_disk_names_the_file_and_the_run_goes_on_once_there_is_room(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        after_periods(patch, 20, lambda: fill(patch, part))
        with pytest.raises(UserError) as stop:
            begin(tmp_path, "run")
    run, said = tmp_path / "runs" / "run", str(stop.value)
    assert part in said and "No space left on device" in said and "\n" not in said
    assert f"bazaar train --resume {run} goes on from its last good checkpoint" in said
    assert "Traceback" not in capsys.readouterr().err
    assert [unpack(path.read_bytes())["step"] for path in RunState(run).files()]
    assert not list(run.rglob("*.part"))
    resume(run)
    assert_the_same(run, whole_run())


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_limit_of_the_system_stops_the_run_with_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    after_periods(monkeypatch, 1, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY)))
    with largest_file(10**9), pytest.raises(UserError, match=r"runs/run/.*File too large.*bazaar train --resume"):
        begin(tmp_path, "run")
    monkeypatch.undo()
    resume(tmp_path / "runs" / "run")


@pytest.mark.parametrize("part", ["config.yaml", "run.json", ".latest.pt", ".state"])
def test_a_disk_that_is_full_before_anything_is_learned_leaves_the_name_free(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        fill(patch, part)
        with pytest.raises(UserError) as stop:
            begin(tmp_path, "run")
    said = str(stop.value)
    assert part in said and "No space left on device; nothing was learned yet" in said.replace(")", "")
    assert "--resume" not in said and list((tmp_path / "runs").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def a_file_in_its_place() -> None:
        for path in (tmp_path / "runs" / "run" / "state").iterdir():
            path.unlink()
        (tmp_path / "runs" / "run" / "state").rmdir()
        (tmp_path / "runs" / "run" / "state").write_text("")

    after_periods(monkeypatch, 5, a_file_in_its_place)
    with pytest.raises(UserError, match=r"run/state/000\d+\.state.*Not a directory"):
        begin(tmp_path, "run")


def test_what_was_there_stays_where_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    files.write_file(path, b"old")
    monkeypatch.setattr(files.os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "Input/output error")))
    with pytest.raises(OSError, match="Input/output error") as stop:
        files.write_file(path, b"new")
    assert stop.value.filename == str(path)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
