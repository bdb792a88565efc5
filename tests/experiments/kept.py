"""Results of long tables, a line each in a file, so that the same command goes on where it was stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import Any

Case = tuple[Any, ...]


def done(kept: Path | None) -> dict[Case, list[Any]]:
    """What the file holds; nothing where there is none."""
    if kept is None or not kept.exists():
        return {}
    return {tuple(case): result for case, result in map(json.loads, kept.read_text(encoding="utf-8").splitlines())}


def worked(
    work: Callable[[Case], Any], cases: list[Case], processes: int, kept: Path | None
) -> Iterator[tuple[Case, Any]]:
    """Every case that the file lacks with its result, as plain data, as soon as it is kept.

    One process is this one, so that who ends it ends the work. Several are spawned, since a forked child of a parallel
    kernel dies.
    """
    left = [case for case in cases if case not in done(kept)]
    with ExitStack() as held:
        run: Any = map
        if processes > 1:
            run = held.enter_context(ProcessPoolExecutor(processes, mp_context=get_context("spawn"))).map
        for case, result in zip(left, run(work, left), strict=True):
            if kept is not None:
                with kept.open("a", encoding="utf-8") as file:
                    print(json.dumps([case, result]), file=file)
            yield case, result
