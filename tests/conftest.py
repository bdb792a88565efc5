"""Shared by all tests: floating-point errors raise, runs draw no pictures unless asked, nothing of a process leaks."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from policies.common import console
from tests.helpers.pictures import draw_none_unless_asked
from tests.helpers.searches import search_once
from tests.helpers.shared import close_shared, open_shared
from tests.helpers.workers import compile_in_turn, compile_nothing_unasked, dear_first


def pytest_configure(config: pytest.Config) -> None:
    np.seterr(all="raise")
    os.environ.pop("COLUMNS", None)  # workers get it set, and piped output would be as narrow
    console.PAUSE = 1e6  # what a command says while one waits depends on how fast the machine is
    settings.register_profile("without a clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("without a clock")
    if not hasattr(config, "workerinput"):
        open_shared()
    else:
        compile_in_turn()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        close_shared()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The dearest first, so that all workers are busy to the end: by files, and by the seconds that slow marks name."""
    dear_first(items)
    items.sort(key=lambda item: -seconds(item))


def seconds(item: pytest.Item) -> float:
    return max((mark.kwargs.get("seconds", 0) for mark in item.iter_markers("slow")), default=0)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    draw_none_unless_asked()
    compile_nothing_unasked()
    search_once()


@pytest.fixture(autouse=True)
def as_it_was_found() -> Iterator[None]:
    """What a test changes of its process is the next one's again."""
    heeds, unraised, folder, environment = (
        signal.getsignal(signal.SIGINT), sys.unraisablehook, os.getcwd(), dict(os.environ)
    )  # fmt: skip
    yield
    signal.signal(signal.SIGINT, heeds)
    sys.unraisablehook = unraised
    os.chdir(folder)
    environment |= {name: os.environ[name] for name in os.environ if name.startswith("RAY_")}  # Ray reads them once
    if dict(os.environ) != environment:
        os.environ.clear()
        os.environ.update(environment)


@pytest.fixture(name="one_thread")
def _one_thread() -> Iterator[None]:
    """Torch on one thread, so that sums have one order."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
