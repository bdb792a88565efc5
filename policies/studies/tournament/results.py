"""What a tournament found, from the profits of its cells: payoffs, ranking, cross-play, equilibria, as plain data.

Dimensions: N sellers, A candidates for a seat, K sets of rivals, E episodes, B bootstrap resamples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from market.spec.models import MarketSpec
from market.state import Floats
from policies.common.files import jsonable
from policies.evaluation.statistics import half_widths, percentile_half_width
from policies.games import equilibria, ranking
from policies.studies.tournament.entries import Policy
from policies.studies.tournament.schedule import LineUp, Schedule, put

RESAMPLES = 400
RESAMPLING = 5  # key of the resampling's generator


@dataclass(frozen=True)
class Played:
    """Everything that was played: ``profits`` are those per period of each episode, (E, N) a cell."""

    spec: MarketSpec
    policies: Sequence[Policy]
    plan: Schedule
    profits: Mapping[LineUp, Floats]
    episodes: int
    seed: int

    @property
    def labels(self) -> list[str]:
        """Who takes part."""
        return [policy.label for policy in self.policies]

    def seat(self, seat: int) -> Floats:
        """Profit of each candidate of a seat against each set of rivals, (A, K, E)."""
        plan = self.plan
        return np.array(
            [[self.profits[one][:, seat] for one in plan.line_ups(seat, own)] for own in plan.candidates[seat]]
        )

    def weights(self) -> Floats | None:
        """Bootstrap resamples of the episodes, (B, E); None of one episode."""
        if self.episodes < 2:
            return None
        return ranking.resampling(self.episodes, RESAMPLES, np.random.default_rng((self.seed, RESAMPLING)))


DROP = 0.05  # of profit: what makes a policy one that does well only with its training partners


def own_line_up(policies: Sequence[Policy], policy: Policy) -> LineUp | None:
    """The line-up that a learned policy was trained in; None where not all of it takes part."""
    numbers = {one.label: number for number, one in enumerate(policies)}
    if policy.saved is None or not all(label in numbers for label in policy.partners.values()):
        return None
    seated = policy.partners | {policy.saved.seat: policy.label}
    line_up = tuple(numbers[seated[seat]] for seat in range(len(seated)))
    return line_up if all(seat in policies[one].seats for seat, one in enumerate(line_up)) else None


def home_line_ups(policies: Sequence[Policy], seats: Sequence[Sequence[int]]) -> list[LineUp]:
    """Every learned policy's training line-up, with each candidate of its seat in its place: what is compared below."""
    found = []
    for policy in policies:
        own = own_line_up(policies, policy)
        if policy.saved is not None and own is not None:
            found += [put(own, policy.saved.seat, one) for one in seats[policy.saved.seat]]
    return found


def cross_play(played: Played) -> list[dict[str, Any]]:
    """Every learned policy in its own seat, with those it was trained with and with others, paired by episode.

    Others are the learned sellers of other runs; where there are none, whoever is neither of its run nor a partner.
    Whoever meets weak rivals earns more, so the same is worked out for the seat's other candidates: a policy does well
    **only** with its training partners where it loses more than 5 % with others, and more than 5 % beyond what they do.
    """
    found = []
    for number, policy in enumerate(played.policies):
        own, (whom, others) = own_line_up(played.policies, policy), _others(played, policy)
        if policy.saved is None or own is None or not others:
            continue
        seat = policy.saved.seat
        pairs = {one: _with_both(played, seat, one, own, others) for one in played.plan.candidates[seat]}
        rest = [strangers - partners for one, (partners, strangers) in pairs.items() if one != number]
        found.append({"policy": policy.label, "seat": played.spec.names[seat], "others": whom})
        found[-1] |= _compared(*pairs[number], np.mean(rest, axis=0) if rest else np.zeros(played.episodes))
    return found


def _with_both(played: Played, seat: int, number: int, own: LineUp, others: list[LineUp]) -> tuple[Floats, Floats]:
    """A candidate's profits (E,) against the rivals of ``own``, and against others."""
    strangers = [played.profits[put(one, seat, number)][:, seat] for one in others]
    return played.profits[put(own, seat, number)][:, seat], np.asarray(np.mean(strangers, axis=0), np.float64)


def _others(played: Played, policy: Policy) -> tuple[str, list[LineUp]]:
    if policy.saved is None:
        return "", []
    foreign, fixed = [], []
    for others in played.plan.rivals[policy.saved.seat]:
        rivals = [played.policies[one] for one in others if one >= 0]
        if rivals and all(one.saved is not None and one.run != policy.run for one in rivals):
            foreign.append(others)
        if rivals and all(one.run != policy.run and one.label not in policy.partners.values() for one in rivals):
            fixed.append(others)
    return ("sellers of other runs", foreign) if foreign else ("fixed competitors", fixed)


def _compared(partners: Floats, strangers: Floats, candidates: Floats) -> dict[str, Any]:
    """Profits (E,) with either, and by how much those of the seat's other candidates change, (E,)."""
    change = strangers - partners
    series = {"with_partners": partners, "with_others": strangers, "change": change}
    series |= {"candidates_change": candidates, "own_change": change - candidates}
    halves = {name: half_widths(values) for name, values in series.items()}
    facts: dict[str, Any] = {name: float(values.mean()) for name, values in series.items()}
    facts |= {f"{name}_half_width": half for name, half in halves.items()}
    scale = DROP * abs(facts["with_partners"])
    falls = {name: facts[name] + halves[name] < 0 and -facts[name] > scale for name in ("change", "own_change")}
    return facts | {"less_with_others": bool(falls["change"]), "only_with_partners": all(map(bool, falls.values()))}


def equilibria_of(played: Played, weights: Floats | None) -> dict[str, Any]:
    """Nash equilibria of one or two seats, of more the best coarse correlated one; none where cells are sampled."""
    about: dict[str, Any] = {"kind": None, "why_none": None, "complete": False, "degenerate": False, "found": []}
    if played.plan.sampled:
        why = f"only {len(played.plan.cells):,} of the game's line-ups were played; raise --most-cells to play all"
        return about | {"why_none": why}
    payoffs, resampled = _tensors(played, weights)
    if len(payoffs) > 2:
        one = equilibria.coarse_correlated(payoffs)
        facts = _facts(played, one.payoffs, one.regret) | {"line_ups": _joint(played, one.joint)}
        facts |= _sure(resampled, one.joint)
        return about | {"kind": "coarse_correlated", "found": [facts]}
    known, found = equilibria.nash_equilibria(payoffs), []
    for pair in known.equilibria:
        facts = _facts(played, pair.payoffs, pair.regret) | {"strategies": _mixed(played, pair.strategies)}
        # In a degenerate game a mixture is one of many with its supports: only pure ones are told apart.
        pure = all((one > 0).sum() == 1 for one in pair.strategies)
        supported = pair.strategies if pure or not known.degenerate else ()
        found.append(facts | _sure(resampled, equilibria.product(pair.strategies), supported))
    return about | {"kind": "nash", "complete": known.complete, "degenerate": known.degenerate, "found": found}


def _tensors(played: Played, weights: Floats | None) -> tuple[Floats, Floats | None]:
    """Mean payoffs (N, A_1, .., A_N), and those of each resample (B, N, A_1, .., A_N)."""
    plan = played.plan
    shape = (-1, len(plan.candidates), *map(len, plan.candidates))
    every = np.stack([played.profits[line_up] for line_up in plan.cells], axis=-1)
    mean = every.mean(axis=0).reshape(shape[1:])
    return mean, None if weights is None else np.tensordot(weights, every, axes=(1, 0)).reshape(shape)


def _facts(played: Played, payoffs: Floats, regret: float) -> dict[str, Any]:
    return {"payoffs": dict(zip(played.spec.names, payoffs.tolist(), strict=True)), "regret": regret}


def _mixed(played: Played, strategies: Sequence[Floats]) -> dict[str, dict[str, float]]:
    mixed = {}
    for name, candidates, weights in zip(played.spec.names, played.plan.candidates, strategies, strict=True):
        chances = zip(candidates, weights.tolist(), strict=True)
        mixed[name] = {played.labels[policy]: chance for policy, chance in chances if chance > 0}
    return mixed


def _joint(played: Played, joint: Floats) -> list[dict[str, Any]]:
    likely = sorted(np.argwhere(joint > 0).tolist(), key=lambda at: -joint[tuple(at)])
    rows = []
    for at in likely:
        seated = zip(played.spec.names, played.plan.candidates, at, strict=True)
        line_up = {name: played.labels[candidates[k]] for name, candidates, k in seated}
        rows.append({"line_up": line_up, "probability": float(joint[tuple(at)])})
    return rows


def _sure(resampled: Floats | None, joint: Floats, strategies: Sequence[Floats] = ()) -> dict[str, Any]:
    if resampled is None:
        return {"support_share": None, "regret_high": None}
    sure = equilibria.sureness(resampled, joint, strategies)
    return {"support_share": sure.share, "regret_high": sure.regret_high}


def results(played: Played) -> dict[str, Any]:
    """All figures as plain data; :func:`policies.studies.tournament.run.tournament_summary` lists the keys."""
    names, weights = played.spec.names, played.weights()
    facts: dict[str, Any] = jsonable(
        {
            "seats": names,
            "policies": [policy.describe(names) for policy in played.policies],
            "sampled": played.plan.sampled,
            "cells": len(played.plan.cells),
            "payoffs": {name: payoff_matrix(played, seat) for seat, name in enumerate(names)},
            "ranking": ranked(played, weights),
            "cross_play": cross_play(played),
            "equilibria": equilibria_of(played, weights),
        }
    )
    return facts


# ------------------------------------------------------------------------------------------------ payoffs


def payoff_matrix(played: Played, seat: int) -> dict[str, Any]:
    """What each candidate of a seat earns where each policy is among its rivals: means over the line-ups that hold it.

    With two sellers these are the cells themselves.
    """
    profit, rivals = played.seat(seat), played.plan.rivals[seat]
    met = sorted({policy for others in rivals for policy in others if policy >= 0})
    among = {policy: [k for k, others in enumerate(rivals) if policy in others] for policy in met} or {-1: [0]}
    columns = [profit[:, which].mean(axis=1) for which in among.values()]
    return {
        "policies": [played.labels[policy] for policy in played.plan.candidates[seat]],
        "rivals": [played.labels[policy] for policy in met] or ["nobody"],
        "mean": np.stack([column.mean(axis=1) for column in columns], axis=1),
        "half_width": np.stack([half_widths(column) for column in columns], axis=1),
    }


def cell_rows(played: Played) -> Iterator[dict[str, Any]]:
    """One plain row a cell: who sat where, and what each seat earned."""
    for line_up in played.plan.cells:
        profit = played.profits[line_up]
        seated = zip(played.spec.names, line_up, strict=True)
        row: dict[str, Any] = {name: played.labels[policy] for name, policy in seated}
        halves = half_widths(profit.T)
        for seat, name in enumerate(played.spec.names):
            row |= {f"profit_{name}": float(profit[:, seat].mean()), f"half_width_{name}": halves[seat]}
        yield row | {"episodes": len(profit)}


# ------------------------------------------------------------------------------------------------ ranking


def ranked(played: Played, weights: Floats | None) -> list[dict[str, Any]]:
    """Every policy with its profit, mean rank and rating in each seat and over all its seats, best mean rank first."""
    seats = [_seat_standing(played, seat, weights) for seat in range(len(played.spec.sellers))]
    rating, rating_half = _ratings(np.sum([one.won for one in seats], axis=0), weights)
    rows = []
    for number, policy in enumerate(played.policies):
        here = [one for seat, one in enumerate(seats) if seat in policy.seats]
        spread = None if weights is None else np.mean([one.resampled[number] for one in here], axis=0)
        rows.append(
            {
                "policy": policy.label,
                "rank": float(np.mean([one.figures["rank"][number] for one in here])),
                "rank_half_width": None if spread is None else float(percentile_half_width(spread)),
                "rating": float(rating[number]),
                "rating_half_width": None if rating_half is None else float(rating_half[number]),
                "seats": {played.spec.names[s]: one.facts(number) for s, one in enumerate(seats) if s in policy.seats},
            }
        )
    return sorted(rows, key=lambda row: (row["rank"], -row["rating"]))


@dataclass(frozen=True)
class _Standing:
    """A seat's candidates: ``figures`` by name and policy number, and the ``resampled`` mean ranks of each.

    ``won`` (P, P, E) are the duels of all policies.
    """

    figures: dict[str, dict[int, float]]
    resampled: dict[int, Floats]
    won: Floats

    def facts(self, number: int) -> dict[str, Any]:
        """A policy's figures in this seat."""
        return {name: values[number] for name, values in self.figures.items()}


def _seat_standing(played: Played, seat: int, weights: Floats | None) -> _Standing:
    profit, candidates = played.seat(seat), played.plan.candidates[seat]
    overall, duels = profit.mean(axis=1), ranking.wins(profit)
    won = np.zeros((len(played.policies), len(played.policies), profit.shape[-1]))
    won[np.ix_(candidates, candidates)] = duels
    resampled: Floats = np.empty((len(candidates), 0))
    if weights is not None:
        means = np.tensordot(weights, profit, axes=(1, 2))
        resampled = ranking.mean_ranks(means).T

    def by_policy(values: Floats) -> dict[int, Any]:
        return dict(zip(candidates, values, strict=True))

    figures = {"profit": overall.mean(axis=1), "half_width": half_widths(overall)}
    figures |= {"rank": ranking.mean_ranks(profit.mean(axis=-1)), "rating": ranking.ratings(duels.sum(axis=-1))}
    return _Standing({name: by_policy(values) for name, values in figures.items()}, by_policy(resampled), won)


def _ratings(won: Floats, weights: Floats | None) -> tuple[Floats, Floats | None]:
    """Ratings over all seats, and half-widths from resampled episodes."""
    rating = ranking.ratings(won.sum(axis=-1))
    if weights is None:
        return rating, None
    resampled = np.moveaxis(won @ weights.T * won.shape[-1], -1, 0)
    return rating, percentile_half_width(np.array([ranking.ratings(one) for one in resampled]))
