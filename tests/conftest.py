"""Shared by all tests: floating-point errors raise."""

from __future__ import annotations

import numpy as np
import pytest


def pytest_configure(config: pytest.Config) -> None:
    np.seterr(all="raise")
