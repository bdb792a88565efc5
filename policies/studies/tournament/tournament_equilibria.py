"""The equilibria of a tournament's empirical game as plain data.

Dimensions: N sellers, A_i candidates for seat i, B bootstrap resamples of the episodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from market.state import Floats
from policies.games import equilibria as nash
from policies.games import game
from policies.studies.tournament.tournament_played import Played, plain


def equilibria(played: Played, weights: Floats | None) -> dict[str, Any]:
    """Nash equilibria of one or two seats, of more the best coarse correlated one; none where cells are sampled."""
    if played.plan.sampled:
        why = f"only {len(played.plan.cells):,} of the game's line-ups were played; raise --most-cells to play all"
        return {"kind": None, "why_none": why, "complete": False, "degenerate": False, "found": []}
    payoffs, resampled = _tensors(played, weights)
    if len(payoffs) > 2:
        one = game.coarse_correlated(payoffs)
        facts = _facts(played, one.payoffs, one.regret) | {"line_ups": _joint(played, one.joint)}
        facts |= _sure(resampled, one.joint)
        return {"kind": "coarse_correlated", "why_none": None, "complete": False, "degenerate": False, "found": [facts]}
    known, found = nash.nash_equilibria(payoffs), []
    for pair in known.equilibria:
        facts = _facts(played, pair.payoffs, pair.regret) | {"strategies": _mixed(played, pair.strategies)}
        # In a degenerate game a mixture is one of many with its supports: only pure ones are told apart.
        pure = all((one > 0).sum() == 1 for one in pair.strategies)
        supported = pair.strategies if pure or not known.degenerate else ()
        found.append(facts | _sure(resampled, game.product(pair.strategies), supported))
    return {
        "kind": "nash",
        "why_none": None,
        "complete": known.complete,
        "degenerate": known.degenerate,
        "found": found,
    }


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
    sure = nash.sureness(resampled, joint, strategies)
    return {"support_share": plain(sure.share), "regret_high": sure.regret_high}
