"""Resident memory over a long run: ``python -m tests.experiments.leak [SELLER_PERIODS [BYTES_LOST_ON_PURPOSE]]`` prints JSON.

Three learners in the duopoly's market with a third seller, memories as arrays and as tensors, every option on that
keeps something; each sixteenth of the run is followed by what training does between: evaluations and saving.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from policies.common.torch_tools import one_torch_thread
from policies.config.run import RunConfig, read_config
from policies.training.run import TrainingRun

DUOPOLY = Path(__file__).parents[2] / "configs" / "duopoly.yaml"
SAMPLES = 16
KEPT = {"hidden": [8], "normalize_observations": True, "normalize_returns": True, "max_grad_norm": 0.5}
REPLAY = {"batch_size": 128, "buffer": 20_000, "warm_up": 1_000, "replay_ratio": 0.125}
SEATS: dict[str, dict[str, Any]] = {
    "left": {"learner": "dqn", "memory": "numpy", **KEPT, **REPLAY},
    "right": {"learner": "ddpg", "memory": "device", **KEPT, **REPLAY},
    "third": {"learner": "a2c", "memory": "device", **KEPT},
}


def config() -> RunConfig:
    """512 rows of three learning sellers; small networks, so that the loop counts and not the arithmetic."""
    run = read_config(DUOPOLY, ["training.markets=512", "training.evaluation_episodes=32"])
    market = run.market.dump()
    market["sellers"].append(market["sellers"][1] | {"name": "third"})
    data = {"market": market, "seats": SEATS, "training": run.training.model_dump()}
    data["evaluation"] = run.evaluation.model_dump() | {"line_ups": ["cost_plus+forecast"]}
    return RunConfig.model_validate(data | {"market": type(run.market).parse(market, "market")})


def resident() -> int:
    """Bytes of this process in memory, from Linux's /proc; glibc keeps no freed memory back (1.7 MB, come and gone)."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise OSError("no VmRSS in /proc/self/status")


def watch(budget: int, lost: float) -> list[tuple[int, int]]:
    """(seller-periods done, bytes resident) at each sixteenth of the run; ``lost`` bytes a seller-period leak."""
    one_torch_thread()
    training, hoard, seen = TrainingRun(config(), 0, "cpu"), [], []
    training.play.budget = budget
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "checkpoints").mkdir()
        for k in range(1, SAMPLES + 1):
            while training.play.done < budget * k // SAMPLES:
                before = training.play.done
                training.play.play_period()
                if lost:
                    hoard.append(np.ones(int(lost * (training.play.done - before)), np.uint8))
            training.play_greedily()
            training.keep(Path(name), training.scores())
            seen.append((training.play.done, resident()))
    return seen


def growth(seen: list[tuple[int, int]]) -> float:
    """Bytes a seller-period from the second quarter of the run to the last, each by its median."""
    first, last = (
        np.median(np.array(part), axis=0) for part in (seen[SAMPLES // 4 : SAMPLES // 2], seen[-SAMPLES // 4 :])
    )
    return float((last[1] - first[1]) / (last[0] - first[0]))


if __name__ == "__main__":
    asked = [float(text) for text in sys.argv[1:]]
    seen = watch(int(asked[0]) if asked else 10**7, asked[1] if len(asked) > 1 else 0.0)
    print(json.dumps({"bytes_a_seller_period": growth(seen), "seen": seen}))
