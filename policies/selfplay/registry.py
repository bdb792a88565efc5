"""The table of self-play modes: a new one is a class of options, a :class:`~policies.selfplay.base.Mode` and an entry here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from policies.config.selfplay import IndependentOptions, LeagueOptions, PSROOptions, SelfPlayOptions, SharedOptions
from policies.selfplay.base import Mode
from policies.selfplay.league import League
from policies.selfplay.loop import SelfPlay
from policies.selfplay.psro import PSRO
from policies.selfplay.seating import Seats
from policies.selfplay.shared import SharedPlay


def _independent(options: IndependentOptions, seats: Seats) -> Mode:
    settings = seats.config.training
    players = [seats.learner(k) if k in seats.learning else seats.fixed[k] for k in range(len(seats.spec.sellers))]
    return SelfPlay(seats.spec, players, settings.markets, settings.budget, seats.seed)


BUILDERS: dict[type[SelfPlayOptions], Callable[[Any, Seats], Mode]] = {
    IndependentOptions: _independent,
    SharedOptions: SharedPlay,
    LeagueOptions: League,
    PSROOptions: PSRO,
}


def make_mode(seats: Seats) -> Mode:
    """The mode that a run's configuration asks for; raise :class:`Refusal` with the key's path when it cannot be."""
    options = seats.config.selfplay
    return BUILDERS[type(options)](options, seats)
