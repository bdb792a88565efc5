"""What a tournament found, from the profits of its cells: payoffs, ranking, cross-play, equilibria, as plain data.

Dimensions: N sellers, A candidates for a seat, K sets of rivals, E episodes, B bootstrap resamples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from market.state import Floats
from policies.games import ranking
from policies.studies.tournament.tournament_cross_play import cross_play
from policies.studies.tournament.tournament_equilibria import equilibria
from policies.studies.tournament.tournament_played import Played, plain


def results(played: Played) -> dict[str, Any]:
    """All figures as plain data; :func:`policies.studies.tournament.run.tournament_summary` lists the keys."""
    names, weights = played.spec.names, played.weights()
    return {
        "seats": names,
        "policies": [policy.describe(names) for policy in played.policies],
        "sampled": played.plan.sampled,
        "cells": len(played.plan.cells),
        "payoffs": {name: payoff_matrix(played, seat) for seat, name in enumerate(names)},
        "ranking": ranked(played, weights),
        "cross_play": cross_play(played),
        "equilibria": equilibria(played, weights),
    }


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
        "mean": plain(np.stack([column.mean(axis=1) for column in columns], axis=1)),
        "half_width": plain(np.stack([ranking.half_width(column) for column in columns], axis=1)),
    }


def cell_rows(played: Played) -> Iterator[dict[str, Any]]:
    """One plain row a cell: who sat where, and what each seat earned."""
    for line_up in played.plan.cells:
        profit = played.profits[line_up]
        row: dict[str, Any] = {
            name: played.labels[policy] for name, policy in zip(played.spec.names, line_up, strict=True)
        }
        halves = ranking.half_width(profit.T)
        for seat, name in enumerate(played.spec.names):
            row |= {f"profit_{name}": float(profit[:, seat].mean()), f"half_width_{name}": plain(halves[seat])}
        yield row | {"episodes": len(profit)}


# ------------------------------------------------------------------------------------------------ ranking


def ranked(played: Played, weights: Floats | None) -> list[dict[str, Any]]:
    """Every policy with its profit, mean rank and rating in each seat and over all its seats, best mean rank first."""
    seats = [_seat_standing(played, seat, weights) for seat in range(len(played.spec.sellers))]
    rating, rating_half = _ratings(np.sum([one.won for one in seats], axis=0), weights)
    rows = []
    for number, policy in enumerate(played.policies):
        here = [one for seat, one in enumerate(seats) if seat in policy.seats]
        spread = None if weights is None else np.mean([one.resampled_rank[number] for one in here], axis=0)
        rows.append(
            {
                "policy": policy.label,
                "rank": float(np.mean([one.rank[number] for one in here])),
                "rank_half_width": None if spread is None else float(ranking.percentile_half_width(spread)),
                "rating": float(rating[number]),
                "rating_half_width": None if rating_half is None else float(rating_half[number]),
                "seats": {played.spec.names[s]: one.facts(number) for s, one in enumerate(seats) if s in policy.seats},
            }
        )
    return sorted(rows, key=lambda row: (row["rank"], -row["rating"]))


@dataclass(frozen=True)
class _Standing:
    """A seat's candidates by policy number; ``won`` (P, P, E) are the duels of all policies."""

    mean: dict[int, float]
    half: dict[int, float]
    rank: dict[int, float]
    resampled_rank: dict[int, Floats]
    rating: dict[int, float]
    won: Floats

    def facts(self, number: int) -> dict[str, Any]:
        """A policy's figures in this seat."""
        figures = {"profit": self.mean, "half_width": self.half, "rank": self.rank, "rating": self.rating}
        return {name: plain(values[number]) for name, values in figures.items()}


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

    return _Standing(
        by_policy(overall.mean(axis=1)),
        by_policy(ranking.half_width(overall)),
        by_policy(ranking.mean_ranks(profit.mean(axis=-1))),
        by_policy(resampled),
        by_policy(ranking.ratings(duels.sum(axis=-1))),
        won,
    )


def _ratings(won: Floats, weights: Floats | None) -> tuple[Floats, Floats | None]:
    """Ratings over all seats, and half-widths from resampled episodes."""
    rating = ranking.ratings(won.sum(axis=-1))
    if weights is None:
        return rating, None
    resampled = np.moveaxis(won @ weights.T * won.shape[-1], -1, 0)
    return rating, ranking.percentile_half_width(np.array([ranking.ratings(one) for one in resampled]))
