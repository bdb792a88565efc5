"""Resident memory over a long run: ``python -m tests.experiments.leak [SELLER_PERIODS]`` prints JSON.

Three learners in the duopoly's market with a third seller, every option on that keeps something; each sixteenth of the
run is followed by what training does between: evaluations and saving. The run then goes on for a quarter of its length,
losing one byte a seller-period on purpose, which shows what the measurement makes of that.
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
LOST = 1  # byte a seller-period
KEPT = {"hidden": [8], "normalize_observations": True, "normalize_returns": True, "max_grad_norm": 0.5}
REPLAY = {"batch_size": 128, "buffer": 20_000, "warm_up": 1_000, "replay_ratio": 0.125}
SEATS: dict[str, dict[str, Any]] = {
    "left": {"learner": "dqn", **KEPT, **REPLAY},
    "right": {"learner": "ddpg", **KEPT, **REPLAY},
    "third": {"learner": "a2c", **KEPT},
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


def watch(budget: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """(seller-periods done, bytes resident) at each sixteenth of the run, and of the quarter of a run that loses bytes."""
    one_torch_thread()
    training = TrainingRun(config(), 0, "cpu")
    training.play.budget = budget
    return samples(training, budget, 0), samples(training, budget // 4, LOST)


def samples(training: TrainingRun, periods: int, lost: int) -> list[tuple[int, int]]:
    """Go on for so many seller-periods, ``lost`` bytes leaking in each."""
    first, hoard, seen = training.play.done, [], []
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "checkpoints").mkdir()
        for k in range(1, SAMPLES + 1):
            while training.play.done < first + periods * k // SAMPLES:
                before = training.play.done
                training.play.play_period()
                if lost:
                    hoard.append(np.ones(lost * (training.play.done - before), np.uint8))
            training.play_greedily()
            training.keep(Path(name), training.scores())
            seen.append((training.play.done, resident()))
    return seen


def growth(seen: list[tuple[int, int]]) -> float:
    """Bytes a seller-period from the second quarter of the samples to the last, each by its median."""
    first, last = (
        np.median(np.array(part), axis=0) for part in (seen[SAMPLES // 4 : SAMPLES // 2], seen[-SAMPLES // 4 :])
    )
    return float((last[1] - first[1]) / (last[0] - first[0]))


if __name__ == "__main__":
    flat, leaking = watch(int(float(sys.argv[1])) if sys.argv[1:] else 10**7)
    found = {"bytes_a_seller_period": growth(flat), "where_one_is_lost": growth(leaking)}
    print(json.dumps(found | {"seen": flat, "seen_losing": leaking}))
