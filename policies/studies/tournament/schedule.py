"""Which line-ups a tournament plays: all of them, or a balanced sample.

A line-up is a tuple of policies' numbers, one a seat. For every seat there are K sets of rivals; **every** candidate of
the seat meets each of them, so that candidates are compared on the same rivals and customers, sampled or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np

LineUp = tuple[int, ...]


@dataclass(frozen=True)
class Schedule:
    """``candidates`` and ``rivals`` by seat; rivals are line-ups whose own seat holds -1. ``cells`` are all played."""

    candidates: tuple[tuple[int, ...], ...]
    rivals: tuple[tuple[LineUp, ...], ...]
    sampled: bool
    cells: tuple[LineUp, ...]

    def line_ups(self, seat: int, candidate: int) -> list[LineUp]:
        """The line-ups (K) in which the candidate meets the seat's rivals."""
        return [put(others, seat, candidate) for others in self.rivals[seat]]


def put(line_up: LineUp, seat: int, policy: int) -> LineUp:
    """The line-up with ``policy`` in ``seat``. (3, 4) with 7 in seat 1: (3, 7)."""
    return (*line_up[:seat], policy, *line_up[seat + 1 :])


def plan(candidates: Sequence[Sequence[int]], most_cells: int, seed: int, wanted: Iterable[LineUp] = ()) -> Schedule:
    """Every line-up of one or two seats, and of more while there are at most ``most_cells``; else a sample.

    A sample holds K sets of rivals a seat, as many as fit: each rival's seat runs through its candidates in random
    order, so that all sit there equally often (to within one where K is no multiple of their number).

    Args:
        candidates: policies' numbers by seat.
        wanted: line-ups that a sample must hold beside.
    """
    seats = tuple(tuple(one) for one in candidates)
    if len(seats) <= 2 or prod(map(len, seats)) <= most_cells:
        rivals = tuple(tuple(product(*_without(seats, seat))) for seat in range(len(seats)))
        return Schedule(seats, rivals, False, tuple(product(*seats)))
    rng = np.random.default_rng((seed, len(seats)))
    count = _sets_of_rivals(seats, most_cells)
    rivals = tuple(tuple(_sample(_without(seats, seat), count, rng)) for seat in range(len(seats)))
    cells = [put(others, seat, own) for seat, sets in enumerate(rivals) for others in sets for own in seats[seat]]
    return Schedule(seats, rivals, True, tuple(dict.fromkeys([*cells, *wanted])))


def _without(seats: tuple[tuple[int, ...], ...], seat: int) -> list[tuple[int, ...]]:
    return [(-1,) if k == seat else one for k, one in enumerate(seats)]


def _sets_of_rivals(seats: tuple[tuple[int, ...], ...], most_cells: int) -> int:
    """K: what fits, rounded down to a multiple of the most candidates where that leaves any."""
    count = max(1, most_cells // sum(map(len, seats)))
    most = max(map(len, seats))
    return count - count % most if count >= most else count


def _sample(seats: list[tuple[int, ...]], count: int, rng: np.random.Generator) -> list[LineUp]:
    columns = [_balanced(one, count, rng) for one in seats]
    return [tuple(int(policy) for policy in row) for row in zip(*columns, strict=True)]


def _balanced(policies: tuple[int, ...], count: int, rng: np.random.Generator) -> Sequence[int]:
    whole = [policy for _ in range(count // len(policies)) for policy in policies]
    rest = rng.permutation(policies)[: count % len(policies)]
    return [int(policy) for policy in rng.permutation([*whole, *rest])]
