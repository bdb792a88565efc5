"""torch's threads in a process of its own, since both libraries set theirs for good."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
from pathlib import Path

import numba
import torch

from market.simulation.batch import PARALLEL_FROM, MarketBatch
from market.spec.models import MarketSpec
{first}
assert torch.get_num_threads() == 1
batch = MarketBatch(MarketSpec.load(Path("configs/duopoly.yaml")), markets=PARALLEL_FROM)
batch.reset()
assert numba.get_num_threads() == 2
print(torch.get_num_threads())
"""


@pytest.mark.parametrize(
    ("first", "threads"),
    [
        ("from policies.training.train import pick_device; pick_device('cpu')", "1"),
        ("torch.set_num_threads(1)", "2"),
    ],
)
def test_a_large_batch_brings_no_second_torch_thread_back(first: str, threads: str) -> None:
    """The second case is why: torch's own setting alone does not last."""
    two = os.environ | {"NUMBA_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-c", PROGRAM.format(first=first)]
    done = subprocess.run(command, env=two, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == (threads, "")
