"""Cross-play: what learned policies earn with those they were trained with, and with others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from market.state import Floats
from policies.games import ranking
from policies.studies.tournament.entries import Policy
from policies.studies.tournament.schedule import LineUp, put
from policies.studies.tournament.tournament_played import Played, plain

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
    halves = {name: ranking.half_width(values) for name, values in series.items()}
    facts = {name: float(values.mean()) for name, values in series.items()}
    facts |= {f"{name}_half_width": plain(half) for name, half in halves.items()}
    scale = DROP * abs(facts["with_partners"])
    falls = {name: facts[name] + halves[name] < 0 and -facts[name] > scale for name in ("change", "own_change")}
    return facts | {"less_with_others": bool(falls["change"]), "only_with_partners": all(map(bool, falls.values()))}
