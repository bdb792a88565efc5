"""The lockstep loop: all seats act, the market steps, every learner remembers and learns.

All learners learn at the same time, each from what its own seat is rewarded for (``policies.learners.rewards``); fixed
competitors sit beside them. Rows begin their first episode staggered, so that at any time the rows are in all phases
of an episode.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from market.errors import UserError
from market.simulation.batch import MarketBatch
from market.simulation.decisions import Decisions
from market.spec.models import MarketSpec
from market.state import Flags, Floats, Observation
from policies.common.seeding import row_seed
from policies.common.torch_tools import to_arrays, to_tensors
from policies.evaluation.selection import objective
from policies.learners.base import Learner
from policies.learners.rewards import Tally
from policies.selfplay.base import Mode
from policies.selfplay.players import Sitting, seated


class SelfPlay(Mode):
    """Learners and fixed competitors in one market of M parallel rows.

    Args:
        spec: the market.
        players: one per seat, a learner with its encoding of decisions, a fixed competitor, or what sits there.
        markets: M.
        budget: seller-periods after which schedules (exploration, step size) have run their course.
        seed: of the run; training rows get a stream of their own, ``first_row`` is where in it they begin.
        phases: share of its first episode after which a row's is cut (M,); None: evenly from 0 on.
        of_a_learner: rows of each learner, which are what ``budget`` counts, where they are not all M.
    """

    def __init__(
        self,
        spec: MarketSpec,
        players: Sequence[Sitting],
        markets: int,
        budget: int,
        seed: int,
        first_row: int = 0,
        phases: NDArray[np.float64] | None = None,
        of_a_learner: int | None = None,
    ) -> None:
        self.batch = MarketBatch(spec, markets, row_seed(seed, "train") + first_row)
        self.seats = [seated(player, seat, markets) for seat, player in enumerate(players)]
        self._players = {self.seats.index(one): one for one in self.seats}  # by the first seat that each plays
        learning = [one.learning for one in self._players.values() if one.learning is not None]
        self.at_play = sorted(learning, key=lambda one: len(one.seats))  # those with several seats learn last
        self.budget, self.done = budget, 0
        self._a_period = (of_a_learner or markets) * len(self.seats)
        self.tally = Tally(len(self.seats))
        self.rewards: dict[int, Floats] = {}
        phases = np.arange(markets) / markets if phases is None else phases
        self._first_cut = (phases * spec.horizon + 1e-9).astype(np.int64)
        cost = np.array([seller.unit_cost if spec.stocked else 0.0 for seller in spec.sellers])
        self._cost_of_stock = cost / self.batch.reward_scale
        self.batch.reset()
        self._observation = self.batch.observe().copy()

    @property
    def learners(self) -> dict[int, Learner]:
        """The learner of each seat that has one."""
        return {seat: one.learner for one in self.at_play for seat in one.seats}

    def decisions(self, seat: int) -> Decisions:
        """How actions of the seat's learner become prices and orders."""
        return next(one.decisions[seat] for one in self.at_play if seat in one.seats)

    def play_period(self) -> dict[int, dict[str, float]]:
        """One period in every row; returns what learners reported of updates, by seat."""
        batch, observation, before = self.batch, self._observation, self._stock_value()
        price, quantity = np.empty_like(batch.reward), np.empty_like(batch.reward)
        for seat, player in enumerate(self.seats):
            price[:, seat], quantity[:, seat] = player.act(batch, seat, observation)
        self._reward(batch.step(price, quantity)["profit"])
        following = batch.observe().copy()
        cut = self._cut_rows()
        self._watch(cut)
        reports = self._learn(observation, following, cut, (before, self._stock_value()))
        self.done += self._a_period
        self._observation = self._begin_episodes(cut) if cut.any() else following
        return reports

    def _cut_rows(self) -> Flags:
        """Rows whose episode ends now: the horizon is reached, or the stagger of the first episode."""
        first = (self.batch.state.episode == 0) & (self.batch.state.period == self._first_cut)
        return np.asarray(self.batch.truncated | first)

    def earned(self) -> dict[int, dict[str, float]]:
        """By seat, what it earned while exploring and was rewarded for, since last asked."""
        return self.tally.take()

    def _reward(self, profit: Floats) -> None:
        """Work out what each learner is rewarded with (M,), of the period's profits (M, N)."""
        wanted = {seat: learner.options.reward for seat, learner in self.learners.items()}
        minded = {seat: objective(profit, seat, reward) for seat, reward in wanted.items() if reward != "own"}
        self.tally.add(profit, minded, {seat: one.rows for one in self.at_play for seat in one.seats})
        own, scale = self.batch.reward, self.batch.reward_scale
        self.rewards = {seat: minded[seat] / scale[seat] if seat in minded else own[:, seat] for seat in wanted}

    def _watch(self, cut: Flags) -> None:
        """Told of every period, and of the rows (M,) whose episode it ends, before they begin anew."""

    def _stock_value(self) -> Floats:
        """Unit cost x inventory position (M, N), in rewards; 0 where nothing is stocked."""
        state = self.batch.state
        return np.asarray((state.on_hand + self.batch.on_order) * self._cost_of_stock)

    def _learn(
        self, observation: Observation, following: Observation, cut: Flags, stock_value: tuple[Floats, Floats]
    ) -> dict[int, dict[str, float]]:
        reports: dict[int, dict[str, float]] = {}
        for one in self.at_play:
            one.learner.progress(self.fraction)
            if report := one.learn(observation, self.rewards, following, cut, stock_value):
                reports |= dict.fromkeys(one.seats, report)
        return reports

    def _begin_episodes(self, cut: Flags) -> Observation:
        self.batch.reset(rows=np.flatnonzero(cut))
        for player in self._players.values():
            player.restart(cut)
        return self.batch.observe().copy()

    def state_dict(self) -> dict[str, Any]:
        """Everything that the rest of the run depends on, as :mod:`policies.common.torch_tools` says."""
        return {
            "done": self.done,
            "market": to_tensors(self.batch.save()),
            "observation": torch.from_numpy(self._observation.copy()),
            "seats": [self._players[k].state_dict() if k in self._players else {} for k in range(len(self.seats))],
            "tally": self.tally.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where :meth:`state_dict` was taken, in a loop made with the same arguments.

        Raises :class:`~market.errors.UserError` when the state is of another market.
        """
        if len(state["seats"]) != len(self.seats):
            raise UserError(f"saved loop: {len(state['seats'])} seats do not fit the {len(self.seats)} of this market")
        self.batch.load(to_arrays(state["market"], like=self.batch.save()))
        self._observation = state["observation"].numpy().copy()
        for seat, player in self._players.items():
            player.load_state_dict(state["seats"][seat])
        self.tally.load_state_dict(state["tally"])
        self.done = state["done"]
