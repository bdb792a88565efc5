"""Prioritised fictitious self-play: how hard a learner finds each rival, and how often it should meet it.

Vinyals et al. (2019), "Grandmaster level in StarCraft II using multi-agent reinforcement learning", *Nature* 575,
methods: a rival B is drawn with probability proportional to f(P[A beats B]), f(x) = (1 - x)^p. A market has no
winner, so x is here how easy a rival is among those of its kind: the score of the learner against it, moved onto
0 (the worst of the scores) to 1 (the best). Pure functions, and :class:`Ratings`, which keeps the scores.

Dimensions: K rivals, R episodes that end.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from market.state import Floats

UNKNOWN = 0.5  # how easy a rival is taken to be that was never met


def ease(scores: Floats) -> Floats:
    """How easy each rival (K,) is, 0 the hardest to 1 the easiest; NaN scores (never met) and ties are 0.5.

    Scores 2, 6, 5 and one unknown: 0, 1, 0.75, 0.5.
    """
    known = np.isfinite(scores)
    found = np.full(len(scores), UNKNOWN)
    if known.any() and np.ptp(scores[known]) > 0:
        found[known] = (scores[known] - scores[known].min()) / np.ptp(scores[known])
    return found


def weights(scores: Floats, hardness: float, uniform: float) -> Floats:
    """Probabilities (K,) of being drawn: ``uniform`` / K + (1 - ``uniform``) f / sum f, f = (1 - ease)^hardness.

    Scores 2, 6, 5, hardness 2, uniform 0.2: f = 1, 0, 1/16, so 1/15 + .8 x 16/17 = .8196, .0667, .1137.
    """
    hard = (1.0 - ease(scores)) ** hardness
    return np.asarray(uniform / len(scores) + (1.0 - uniform) * hard / hard.sum(), np.float64)


@dataclass
class Rating:
    """What a learner and one rival earned in their episodes: means, and how many episodes stand behind them."""

    own: float = 0.0
    theirs: float = 0.0
    episodes: float = 0.0


@dataclass
class Ratings:
    """One learner's ratings of rivals, by number of the pool's member.

    Money a period. Means forget: an episode weighs 1 / ``memory`` once that many have been seen, so that they follow
    the learner. One that was cut short counts by its length.
    """

    memory: int
    of: dict[int, Rating] = field(default_factory=dict)

    def see(self, member: int, own: Floats, theirs: Floats, length: Floats) -> None:
        """Take in episodes that ended: profits a period (R,) and lengths (R,), 1 a whole episode."""
        rating, seen = self.of.setdefault(member, Rating()), float(length.sum())
        rating.episodes = min(rating.episodes + seen, float(self.memory))
        pace = min(seen / rating.episodes, 1.0)
        rating.own += pace * (float(np.average(own, weights=length)) - rating.own)
        rating.theirs += pace * (float(np.average(theirs, weights=length)) - rating.theirs)

    def scores(self, members: list[int], margin: bool) -> Floats:
        """The learner's profit against each member (K,), with ``margin`` less the member's; NaN where never met."""
        known = [self.of.get(number, Rating()) for number in members]
        scores = [one.own - (one.theirs if margin else 0.0) if one.episodes else np.nan for one in known]
        return np.array(scores)

    def forget(self, members: set[int]) -> None:
        """Drop what is not among ``members``."""
        self.of = {number: rating for number, rating in self.of.items() if number in members}

    def state_dict(self) -> dict[str, list[float]]:
        """By number of the member."""
        return {str(number): [one.own, one.theirs, one.episodes] for number, one in self.of.items()}

    def load_state_dict(self, state: dict[str, list[float]]) -> None:
        """Take back :meth:`state_dict`."""
        self.of = {int(number): Rating(*values) for number, values in state.items()}
