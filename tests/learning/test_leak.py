"""Slow: memory stays flat while learners learn, and the measurement would see one byte a seller-period."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SELLER_PERIODS = 4_000_000


@pytest.mark.slow(seconds=40)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to read resident memory from")
def test_memory_stays_flat_and_a_lost_byte_would_be_seen() -> None:
    """Over 2.25 million seller-periods, evaluations and saving included. The same run, going on for a quarter of its
    length and losing one byte in each on purpose, shows what the figure means: 10 million would lose 10 MB at 1, 1 MB at
    the 0.1 allowed. (Many small arrays take more room than their bytes, so the second figure has no upper bound.)"""
    command = [sys.executable, "-m", "tests.experiments.leak", str(SELLER_PERIODS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    found = json.loads(done.stdout)
    assert found["bytes_a_seller_period"] < 0.1
    assert found["where_one_is_lost"] > 0.8
