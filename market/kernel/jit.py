"""How scalar code is compiled: numba's njit with one set of options, and a cache that notices every edit.

numba throws cached machine code away when the file of the function itself has changed, not when a file has changed
whose functions are called: a caller would go on running its callee's old code. So what tells numba that a cache is
fresh is replaced by a hash of all sources that a compiled function may be made of.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import event

F = TypeVar("F", bound=Callable[..., Any])


class _Told(event.Listener):
    """Logs, once in a process, that something of this package is compiled and not found in the cache."""

    told = False

    def on_start(self, begun: Any) -> None:
        """Something is compiled."""
        function = begun.data["dispatcher"]
        if not self.told and str(function.py_func.__module__).startswith("market."):
            self.told = True
            once = ", once" if function.stats.cache_path else ""
            logging.getLogger("bazaar").info(f"compiling the market's code{once}: about half a minute ...")

    def on_end(self, ended: Any) -> None:
        """Needs no word."""


event.register("numba:compile", _Told())


@cache
def source_stamp(file: str) -> str | None:
    """A hash of the kernel's sources and of ``file``, which may call them; None where they cannot be read."""
    digest = hashlib.sha256()
    try:
        for path in sorted({*Path(__file__).parent.glob("*.py"), Path(__file__), Path(file)}):
            source = path.read_bytes()
            digest.update(f"{path.name} {len(source)} ".encode() + source)
    except OSError:  # for instance inside a zip file
        return None
    return digest.hexdigest()


def stamped(dispatcher: Any, stamp: str | None) -> bool:
    """Make ``stamp`` what the function's cache is fresh by; False where this numba keeps its stamp elsewhere."""
    file: Any = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if stamp is None or not hasattr(file, "_source_stamp"):
        return False
    file._source_stamp = stamp
    return True


def compiled(parallel: bool = False, inline: bool = False) -> Callable[[F], F]:
    """numba's njit with one set of options; without a cache where none can be written or it could be stale.

    Floats divide as numpy's do and keep their order of summation, so that every build gives the same bits. Reference
    counting is off, since counting costs more than the economics: nothing compiled may return an array.

    ``inline``: calls pass tuples of arrays, which costs more than what most functions here do.
    """

    def wrap(function: F) -> F:
        options: dict[str, Any] = {"error_model": "numpy", "fastmath": False, "nogil": True, "_nrt": False}
        options |= {"parallel": parallel, "forceinline": inline}
        njit: Any = numba.njit
        try:
            dispatcher = njit(cache=True, **options)(function)
        except RuntimeError:  # numba: "cannot cache function ...: no locator available"
            return cast(F, njit(**options)(function))
        fresh = stamped(dispatcher, source_stamp(function.__code__.co_filename))
        return cast(F, dispatcher if fresh else njit(**options)(function))

    return wrap
