"""How good learners are by now: what best policies are chosen by.

In self-play the rivals change, so profit among learners says little. Each learner is judged against fixed rivals, on
customers that neither training nor the final table uses: the first line-up that the configuration evaluates against,
or several where a mode trains against several. Dimensions: L line-ups, N sellers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from market.metrics import episode_profit
from policies.config import RunConfig
from policies.options import LearnerOptions
from policies.rewards import standing
from policies.seeds import row_seed
from policies.seller import Seller
from policies.simulate import play

LEAST = 0.1  # of the largest par: what a shortfall is divided by at least


@dataclass
class Choice:
    """Judges learners against fixed rivals, the same for all its time.

    Args:
        first: a seller for every seat (N), against whom profits are reported.
        several: line-ups of N (L) that scores are made of; none: the first.
    """

    config: RunConfig
    seed: int
    first: Sequence[Seller]
    several: Sequence[Sequence[Seller]] = ()
    _pars: dict[int, list[float]] = field(default_factory=dict)

    def judge(self, seat: int, seller: Seller, options: LearnerOptions) -> tuple[float, float]:
        """The score of a seller in a seat, and its mean profit against the first line-up, money a period.

        The score is the learner's standing (:func:`policies.rewards.standing`) against the first line-up, money a
        period. Against several it is the worst shortfall: the least, over line-ups, of its standing less that of the
        best seller that any line-up has in this seat, as a share of the latter's size. Standings 9 and 3 where the
        best have 10 and 2: -0.1 and 0.5, so -0.1.
        """
        standing_first, profit = self._played(seat, seller, self.first, options)
        if not self.several:
            return standing_first, profit
        pars = self._par(seat, options)
        least = LEAST * max(abs(par) for par in pars)
        found = (self._played(seat, seller, line_up, options)[0] for line_up in self.several)
        return min((own - par) / max(abs(par), least) for own, par in zip(found, pars, strict=True)), profit

    def _par(self, seat: int, options: LearnerOptions) -> list[float]:
        """The best standing of the line-ups' own sellers in a seat, against each line-up (L)."""
        if seat not in self._pars:
            self._pars[seat] = [
                max(self._played(seat, other[seat], line_up, options)[0] for other in self.several)
                for line_up in self.several
            ]
        return self._pars[seat]

    def _played(
        self, seat: int, seller: Seller, line_up: Sequence[Seller], options: LearnerOptions
    ) -> tuple[float, float]:
        """Standing and mean profit a period."""
        settings, spec = self.config.evaluation, self.config.market
        seats = [seller if k == seat else rival for k, rival in enumerate(line_up)]
        episodes = self.config.training.evaluation_episodes
        ledger = play(spec, seats, markets=episodes, seed=row_seed(self.seed, "select"))
        earned = episode_profit(ledger, spec, settings.warm_up, settings.salvage)[:, seat]
        profit = float(earned.mean()) / (spec.horizon - settings.warm_up)
        return standing(options, seat, ledger["profit"][settings.warm_up :], earned), profit
