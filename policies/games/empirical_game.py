"""The empirical game of a population that grows: what members earn in every line-up, and an equilibrium of it.

Dimensions: N seats of the market, L <= N seats that the population plays, A_i members of the population for the i-th of these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product as combinations
from typing import Any

import numpy as np

from market.state import Floats
from policies.games.equilibria import coarse_correlated, expected, nash_equilibria, product, regrets

Profile = tuple[int, ...]  # of strategies: a member of the population for each seat


class EmpiricalGame:
    """Payoffs of line-ups of population members, each played once, and the equilibrium that they have now.

    Of two seats a Nash equilibrium, the first in the order of :func:`policies.games.equilibria.nash_equilibria` (pure ones first,
    then by total payoff); of more the coarse correlated one with the largest total payoff (Marris et al. 2021,
    "Multi-agent training beyond zero-sum with correlated equilibrium meta-solvers", ICML 38).

    Args:
        play: what each of the L seats earns, money a period, when these members (L,) sit there.
    """

    def __init__(self, play: Callable[[Profile], Floats]) -> None:
        self.play = play
        self.candidates: list[list[int]] = []
        self.joint: Floats = np.ones(())
        self._played: dict[Profile, list[float]] = {}

    @property
    def payoffs(self) -> Floats:
        """(L, A_1, .., A_L), money a period."""
        shape = tuple(map(len, self.candidates))
        cells = [self._played[line_up] for line_up in combinations(*self.candidates)]
        return np.moveaxis(np.array(cells).reshape(*shape, len(shape)), -1, 0)

    def extend(self, candidates: Sequence[Sequence[int]]) -> Floats:
        """Play what is new among these candidates (members by seat), which keep their order, and solve anew.

        Returns what the best of the new members of each seat gains against the equilibrium so far (L,): a lower bound
        on regret there, negative where it earns less. Zeros at first.
        """
        before, joint = self.candidates, self.joint
        self.candidates = [list(one) for one in candidates]
        for line_up in combinations(*self.candidates):
            if line_up not in self._played:
                self._played[line_up] = self.play(line_up).tolist()
        gains = self._gains(before, joint) if before else np.zeros(len(self.candidates))
        self.joint = self._solved()
        return gains

    def _gains(self, before: Sequence[Sequence[int]], joint: Floats) -> Floats:
        """By the new members, against what the others of ``before`` play."""
        payoffs, seats = self.payoffs, range(len(before))
        known = tuple(slice(len(one)) for one in before)
        value = expected(payoffs[(slice(None), *known)], joint)
        found = []
        for seat in seats:
            others = joint.sum(axis=seat).ravel()
            new = tuple(slice(len(before[k]), None) if k == seat else known[k] for k in seats)
            own = np.moveaxis(payoffs[seat][new], seat, 0)
            found.append(float((own.reshape(len(own), -1) @ others).max() - value[seat]))
        return np.array(found)

    def _solved(self) -> Floats:
        payoffs = self.payoffs
        if len(payoffs) > 2:
            return coarse_correlated(payoffs).joint
        return product(nash_equilibria(payoffs).equilibria[0].strategies)

    @property
    def regret(self) -> float:
        """What the best candidates would gain in the game as it is, summed over seats: 0 up to rounding."""
        return float(regrets(self.payoffs, self.joint).sum())

    def weights(self, place: int) -> Floats:
        """How often each candidate of the ``place``-th seat is played (A_i,)."""
        others = tuple(k for k in range(self.joint.ndim) if k != place)
        return np.asarray(self.joint.sum(axis=others), np.float64)

    def rivals(self, place: int, uniform: Floats) -> list[list[int]]:
        """Line-ups of the other seats, drawn together by uniform numbers in [0, 1): their members, L - 1 each."""
        marginal = self.joint.sum(axis=place)
        at = np.searchsorted(np.cumsum(marginal.ravel()) / marginal.sum(), uniform, side="right")
        places = np.unravel_index(np.minimum(at, marginal.size - 1), marginal.shape)
        others = [one for k, one in enumerate(self.candidates) if k != place]
        return [[others[k][i] for k, i in enumerate(row)] for row in zip(*places, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """Everything that was played, and the equilibrium."""
        return {
            "candidates": [list(one) for one in self.candidates],
            "played": [[list(line_up), profit] for line_up, profit in self._played.items()],
            "joint": self.joint.tolist(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back :meth:`state_dict`."""
        self.candidates = [list(one) for one in state["candidates"]]
        self._played = {tuple(line_up): list(profit) for line_up, profit in state["played"]}
        self.joint = np.array(state["joint"])
