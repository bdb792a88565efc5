"""Every learner for itself: they meet one another, and in rows of their own the rules that they are judged among.

Learners that only ever meet one another end where their rivals' habits are, and are judged among rivals that have others:
in a market of three flower shops they lost up to half of their profits that way (one seed). So a learner has M rows of two kinds. In the
first, common ones, all learners play, as they explore; in the others, its own, its rivals follow the line-ups that sellers
are evaluated against. All rows are one batch of the market, in which a seat is played by its learner or by rules.
Where one seat learns there is nothing to add: its rivals are what the configuration says.

Dimensions: M rows of a learner, N sellers, L learners, C common rows; in all C + L (M - C) rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.config.selfplay import IndependentOptions
from policies.selfplay.loop import SelfPlay
from policies.selfplay.players import FixedSeat, LearnerAtPlay, MixedSeat, Rows, SeatPlayer, Sitting
from policies.selfplay.seating import Seats


def independent(options: IndependentOptions, seats: Seats) -> SelfPlay:
    """The mode; the learners only, without line-ups or where a single seat learns."""
    settings, every = seats.config.training, range(len(seats.spec.sellers))
    own = round(options.line_ups * settings.markets) if len(seats.learning) > 1 else 0
    if not own:
        players: list[Sitting] = [seats.sitting(seat) for seat in every]
        return SelfPlay(seats.spec, players, settings.markets, settings.budget, seats.seed)
    common = settings.markets - own
    blocks = {seat: common + place * own + np.arange(own) for place, seat in enumerate(seats.learning)}
    total = common + len(blocks) * own
    players = [_mixed(seats, seat, common, blocks) if seat in blocks else seats.sitting(seat) for seat in every]
    phases = np.concatenate([_spread(common), *[_spread(own)] * len(blocks)])
    rows: dict[str, Any] = {"phases": phases, "of_a_learner": settings.markets}
    return SelfPlay(seats.spec, players, total, settings.budget, seats.seed, **rows)


def _spread(rows: int) -> NDArray[np.float64]:
    return np.arange(rows) / max(rows, 1)


def _mixed(seats: Seats, seat: int, common: int, blocks: dict[int, Rows]) -> SeatPlayer:
    """A seat that its learner plays in the common rows and in its own, and rules in the rows of the others."""
    learner, decisions = seats.learner(seat)
    learning = LearnerAtPlay(learner, {seat: decisions}, rows=np.concatenate([np.arange(common), blocks[seat]]))
    elsewhere, line_ups = np.concatenate([rows for k, rows in blocks.items() if k != seat]), seats.line_ups
    chosen = line_ups.chosen(None)
    rules = [
        FixedSeat(seller := line_ups.fixed(one, seat), seller.start(len(rows)), rows)
        for k, one in enumerate(chosen)
        if len(rows := elsewhere[elsewhere % len(chosen) == k])
    ]
    return MixedSeat(learning, rules)
