"""What a tournament says, in sentences: cross-play, equilibria, and what the figures rest on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

SHOWN_EQUILIBRIA = 10
SHOWN_LINE_UPS = 8
ROUNDING = 1e-9  # of profit: a regret that small is what arithmetic leaves of none


def how(facts: dict[str, Any]) -> str:
    """What the figures rest on, in one sentence."""
    halves = [
        half for one in facts["payoffs"].values() for row in one["half_width"] for half in row if half is not None
    ]
    skipped = f", the first {facts['warm_up']} skipped" if facts["warm_up"] else ""
    valued = f", stock valued at {facts['salvage']:g} x unit cost" if facts["stocked"] else ""
    episodes = f"{facts['episodes']:,} episodes" if facts["episodes"] > 1 else "1 episode (too few for intervals)"
    played = f"{facts['cells']:,} line-ups{' (a balanced sample)' if facts['sampled'] else ''}"
    intervals = f"; 95 % intervals of at most ± {max(halves):.2g}" if halves else ""
    return (
        f"\n{played}, each {episodes} of {facts['horizon']} {facts['period']}s{skipped}{valued}; the same customers "
        f"for all{intervals}."
    )


def _percent(chance: float) -> str:
    return f"{100 * chance:.3g} %"


def share(one: dict[str, Any], name: str) -> str:
    """A change as a share of the profit with training partners."""
    scale, half = abs(one["with_partners"]), one[f"{name}_half_width"]
    return f"{one[name] / scale:+.1%}" + ("" if half is None else f" ± {half / scale:.1%}")


def cross_play_words(facts: dict[str, Any]) -> Iterator[str]:
    """A sentence for each policy that earns much less with others, and whether that is its own doing."""
    fallen = [one for one in facts["cross_play"] if one["less_with_others"]]
    for one in fallen:
        if one["only_with_partners"]:
            text = "does well only with its training partners"
            why = f"whoever else takes its seat sees {share(one, 'candidates_change')}"
        else:
            text = "earns less than with its training partners, which are easy rivals for anybody"
            why = f"the others in its seat see {share(one, 'candidates_change')}"
        yield f"{one['policy']} {text}: {share(one, 'change')} with {one['others']}, where {why}."
    if not fallen:
        yield "No learned policy earns more than 5 % less with others than with its training partners."


def equilibrium_words(facts: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """The equilibria of the empirical game: who plays what, what they earn, how sure it is; indented lines."""
    found = facts["equilibria"]
    if found["kind"] is None:
        yield 0, f"No equilibria: {found['why_none']}."
        return
    yield 0, _headline(facts)
    for number, one in enumerate(found["found"][:SHOWN_EQUILIBRIA], 1):
        lead = f"{number}. " if len(found["found"]) > 1 else ""
        yield 0, f"{lead}{'; '.join(_who(facts, one))}."
        yield 3, _worth(facts, one)
    if len(found["found"]) > SHOWN_EQUILIBRIA:
        yield 0, f"and {len(found['found']) - SHOWN_EQUILIBRIA} more, in results.json"


def _headline(facts: dict[str, Any]) -> str:
    found, count = facts["equilibria"], len(facts["equilibria"]["found"])
    if found["kind"] == "coarse_correlated":
        return "Coarse correlated equilibrium of the empirical game with the largest total profit:"
    if len(facts["seats"]) == 1:
        return "Best policy of the only seat:"
    if found["degenerate"]:
        which = "extreme equilibria; mixtures of some are equilibria too" if found["complete"] else "found; not all"
        return f"Nash equilibria of the empirical game, which is degenerate ({count} {which}):"
    which = "all" if found["complete"] else "those with small supports; there may be more"
    return f"Nash equilibria of the empirical game ({count}, {which}):"


def _who(facts: dict[str, Any], one: dict[str, Any]) -> Iterator[str]:
    if "line_ups" in one:
        for entry in one["line_ups"][:SHOWN_LINE_UPS]:
            yield f"{_percent(entry['probability'])} {', '.join(f'{seat} {label}' for seat, label in entry['line_up'].items())}"
        if len(one["line_ups"]) > SHOWN_LINE_UPS:
            yield f"and {len(one['line_ups']) - SHOWN_LINE_UPS} more line-ups"
        return
    for seat, mixed in one["strategies"].items():
        parts = [label if len(mixed) == 1 else f"{label} {_percent(chance)}" for label, chance in mixed.items()]
        yield f"{seat} plays {', '.join(parts)}"


def _worth(facts: dict[str, Any], one: dict[str, Any]) -> str:
    earned = ", ".join(f"{seat} {value:.4g}" for seat, value in one["payoffs"].items())
    least = ROUNDING * max(abs(value) for value in one["payoffs"].values())
    regret, high = (
        0.0 if one[key] is not None and one[key] <= least else one[key] for key in ("regret", "regret_high")
    )
    text = f"Profit a {facts['period']}: {earned}; largest regret {regret:.2g}"
    if high is not None:
        text += f" (95 % of resampled episodes: at most {high:.2g})"
    if one["support_share"] is not None:
        text += f"; the same candidates make an equilibrium in {one['support_share']:.0%} of them"
    return text + "."
