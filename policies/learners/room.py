"""Whether a run's replay buffers fit into memory, all seats together: asked before any of them is made.

A buffer takes memory as it fills, so one that is too large would end the process without a word hours later.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from gymnasium.spaces import Discrete

from market.errors import UserError
from market.simulation.decisions import Decisions
from market.simulation.observation import feature_list
from policies.common.torch_tools import free_bytes
from policies.config.learners import ReplayOptions
from policies.config.run import RunConfig
from policies.learners.build import encoding_of, learner_name, seat_options
from policies.learners.memory import WORD, record_fields, record_layout

COPIES = (
    3  # of what is in the buffers while a checkpoint is written: its tensors, the file, and the file with its digest
)


@dataclass(frozen=True)
class Buffer:
    """The replay buffer of a seat: its key, the transitions that it can hold, those that the run has for it, bytes of one."""

    key: str
    transitions: int
    played: int
    size: int


def buffers(config: RunConfig) -> list[Buffer]:
    """The replay buffers of a configuration whose grids are known, one a learner that has one; a shared learner counts once."""
    found = []
    names = config.market.names
    learners = {k: name for k, one in enumerate(names) if (name := learner_name(config.player(k), f"seats.{one}"))}
    shared = config.selfplay.mode == "shared"
    for seat, name in list(learners.items())[: 1 if shared else None]:
        options, own, _ = seat_options(config, seat, name, config.player(seat))
        if isinstance(options, ReplayOptions):
            key = f"seats.{names[seat]}.buffer" if "buffer" in own else f"learners.{name}.buffer"
            played = config.training.budget // (1 if shared else len(learners))
            extra = len(learners) if getattr(config.selfplay, "indicator", False) else 0
            found.append(Buffer(key, options.buffer, played, _bytes_of_one(config, seat, name, options, extra)))
    return found


def _bytes_of_one(config: RunConfig, seat: int, name: str, options: ReplayOptions, extra: int) -> int:
    space = Decisions(config.market, seat, encoding_of(config, seat, name)).space
    shape, kind = ((), np.int64) if isinstance(space, Discrete) else (space.shape or (), np.float32)
    seen = (len(feature_list(config.market)) + extra) * options.stack
    cell = {"none": 0, "gru": 1, "lstm": 2}[getattr(options, "recurrent", "none")]
    return record_layout(record_fields(seen, shape, kind))[1] * WORD + 4 * cell * getattr(options, "recurrent_size", 0)


def refuse_large_buffers(config: RunConfig, device: str) -> None:
    """Raise :class:`UserError` with the bytes wanted and free, the key, and the largest buffers that fit."""
    found = buffers(config)
    free = {place: room for place in {"cpu", device} if (room := free_bytes(place)) is not None}
    largest = max(found, key=lambda one: one.transitions * one.size, default=None)
    short = [] if largest is None else _too_small(found, device, largest.transitions, free)
    if largest is None or not short:
        return
    fits = bisect_left(
        range(largest.transitions), 1, key=lambda most: len(_too_small(found, device, most + 1, free)) > 0
    )
    place, wanted = short[0]
    where = "memory" if place == "cpu" else "the GPU's memory"
    copies = " with a checkpoint's copies" if place == "cpu" else ""
    raise UserError(
        f"{largest.key}: the replay buffers of {len(found)} learners take {wanted / 1e9:,.1f} GB of {where}{copies}, and "
        f"{free[place] / 1e9:,.1f} GB are free: at most {fits:,} transitions each fit"
    )


def _too_small(found: list[Buffer], device: str, most: int, free: dict[str, int]) -> list[tuple[str, int]]:
    """Where buffers of at most so many transitions do not fit, and the bytes that they want there."""
    made = sum(min(one.transitions, most) * one.size for one in found)
    filled = sum(min(one.transitions, one.played, most) * one.size for one in found)
    wanted = {"cpu": max(made, (1 + COPIES) * filled)} if device == "cpu" else {device: made, "cpu": COPIES * filled}
    return [(place, size) for place, size in wanted.items() if size > free.get(place, size)]
