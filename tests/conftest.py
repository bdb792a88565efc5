"""Shared by all tests: floating-point errors raise, and runs draw pictures only where a test looks at them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.pictures import draw_none_unless_asked
from tests.helpers.shared import close_shared, open_shared


def pytest_configure(config: pytest.Config) -> None:
    np.seterr(all="raise")
    if not hasattr(config, "workerinput"):
        open_shared()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        close_shared()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    draw_none_unless_asked()
