"""A tournament on the terminal: payoff matrix, ranking, cross-play; what they say is in ``policies.studies.tournament.view``.

What a tournament says, in sentences: cross-play, equilibria, and what the figures rest on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

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


LONGEST_LABEL = 40
DIGITS = 4
BETWEEN = 3  # characters from a column to the next
BEST = "bold cyan"


def print_tournament(facts: dict[str, Any], console: Console) -> None:
    """Print what :func:`policies.studies.tournament.run.tournament_summary` describes, to the width of the console."""
    for table in matrices(facts, console.width):
        console.print(table)
    console.print(ranking_table(facts, console.width))
    if facts["cross_play"]:
        console.print(cross_play_table(facts, console.width))
        for line in cross_play_words(facts):
            console.print(line, highlight=False, markup=False)
        console.print()
    for indent, line in equilibrium_words(facts):
        console.print(Padding(Text(line), (0, 0, 0, indent)))
    console.print(how(facts), style="dim", highlight=False, markup=False)


# ------------------------------------------------------------------------------------------------ tables


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))


def _numbers(facts: dict[str, Any]) -> dict[str, int]:
    return {policy["label"]: number for number, policy in enumerate(facts["policies"], 1)}


def _cut(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"


def _decimals(values: Sequence[float], digits: int = DIGITS) -> int:
    """Decimals that show so many digits of the largest value."""
    largest = max((abs(value) for value in values), default=0.0)
    return digits - 1 if largest == 0 else min(max(0, digits - 1 - math.floor(math.log10(largest))), 8)


def _plus_minus(value: float, half: float | None, decimals: int) -> str:
    return f"{value:.{decimals}f}" + ("" if half is None else f" ± {half:.{decimals}f}")


def matrices(facts: dict[str, Any], width: int) -> Iterator[Table]:
    """The payoff matrix: both seats' payoffs in a cell, with intervals or with fewer digits, as fits; else one a seat.

    A column is headed by the number of its policy in the rows. Best responses are set off.
    """
    both = facts["seats"] if len(facts["seats"]) == 2 else []
    for intervals, digits in ((True, DIGITS), (False, DIGITS), (False, DIGITS - 1)) if both else ():
        rows = _bimatrix(facts, intervals, digits)
        if _label_width(facts, both[0]) + sum(_widths(rows)) <= width:
            title = f"profit a {facts['period']}: rows play {both[0]} (first figure), columns play {both[1]} (second)"
            yield _matrix(facts, both[0], title, rows, range(len(rows[0])))
            return
    for seat in facts["seats"]:
        rows = _one_seat(facts, seat)
        for columns in _blocks(_widths(rows), width - _label_width(facts, seat)):
            yield _matrix(facts, seat, _one_seat_title(facts, seat), rows, columns)


def _one_seat_title(facts: dict[str, Any], seat: str) -> str:
    if len(facts["seats"]) == 1:
        return f"profit a {facts['period']} of {seat}"
    who = "columns play the other seat" if len(facts["seats"]) == 2 else "columns sit in one of the other seats"
    return f"profit a {facts['period']} of {seat}: rows play {seat}, {who}"


def _label_width(facts: dict[str, Any], seat: str) -> int:
    return max(len(_cut(label)) for label in facts["payoffs"][seat]["policies"]) + len(str(len(facts["policies"]))) + 5


def _widths(rows: Sequence[Sequence[Text]]) -> list[int]:
    return [max(len(row[k]) for row in rows) + BETWEEN for k in range(len(rows[0]))]


def _blocks(widths: Sequence[int], room: int) -> Iterator[range]:
    """Columns that fit beside one another, at least one at a time."""
    start = used = 0
    for k, width in enumerate(widths):
        if k > start and used + width > room:
            yield range(start, k)
            start, used = k, 0
        used += width
    yield range(start, len(widths))


def _matrix(
    facts: dict[str, Any], seat: str, title: str, rows: Sequence[Sequence[Text]], columns: Sequence[int]
) -> Table:
    numbers, payoffs = _numbers(facts), facts["payoffs"][seat]
    table = _table(title)
    table.add_column("", no_wrap=True)
    for k in columns:
        label = payoffs["rivals"][k]
        table.add_column(str(numbers.get(label, label)), justify="right", no_wrap=True)
    for label, row in zip(payoffs["policies"], rows, strict=True):
        table.add_row(f"{numbers[label]} {_cut(label)}", *(row[k] for k in columns))
    return table


def _one_seat(facts: dict[str, Any], seat: str) -> list[list[Text]]:
    mean = facts["payoffs"][seat]["mean"]
    decimals, best = _decimals([value for row in mean for value in row]), _column_best(mean)
    return [
        [Text(f"{value:.{decimals}f}", BEST if value == best[k] else "") for k, value in enumerate(row)] for row in mean
    ]


def _column_best(mean: Sequence[Sequence[float]]) -> list[float]:
    return [max(column) for column in zip(*mean, strict=True)]


def _bimatrix(facts: dict[str, Any], intervals: bool, digits: int) -> list[list[Text]]:
    first, second = (facts["payoffs"][seat] for seat in facts["seats"])
    decimals = _decimals([value for one in (first, second) for row in one["mean"] for value in row], digits)
    best = _column_best(first["mean"]), _column_best(second["mean"])
    rows = []
    for i, row in enumerate(first["mean"]):
        cells = []
        for j, value in enumerate(row):
            other = second["mean"][j][i]
            halves = (first["half_width"][i][j], second["half_width"][j][i]) if intervals else (None, None)
            mine = Text(_plus_minus(value, halves[0], decimals), BEST if value == best[0][j] else "")
            theirs = Text(_plus_minus(other, halves[1], decimals), BEST if other == best[1][i] else "")
            cells.append(Text("  " if intervals else " ").join([mine, theirs]))
        rows.append(cells)
    return rows


def _fitted(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], width: int, least: int) -> Table:
    """A table without the columns from the right that there is no room for."""
    widths = [max(len(row[k]) for row in [heads, *rows]) + BETWEEN for k in range(len(heads))]
    fitting = max(least, sum(sum(widths[: k + 1]) + 1 <= width for k in range(len(widths))))
    table = _table(title)
    for k, head in enumerate(heads[:fitting]):
        table.add_column(head, justify="right" if k else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row[:fitting])
    return table


def ranking_table(facts: dict[str, Any], width: int) -> Table:
    """Mean rank, rating, and profit in every seat."""
    profits = [one["profit"] for row in facts["ranking"] for one in row["seats"].values()]
    decimals, numbers = _decimals(profits), _numbers(facts)
    rows = []
    for row in facts["ranking"]:
        cells = [f"{numbers[row['policy']]} {_cut(row['policy'])}"]
        cells.append(_plus_minus(row["rank"], row["rank_half_width"], 2))
        half = row["rating_half_width"]
        cells.append(f"{row['rating']:.0f}" + ("" if half is None else f" ± {half:.0f}"))
        for seat in facts["seats"]:
            one = row["seats"].get(seat)
            cells.append("-" if one is None else _plus_minus(one["profit"], one["half_width"], decimals))
        rows.append(cells)
    heads = ["", "mean rank", "rating", *(f"profit as {seat}" for seat in facts["seats"])]
    return _fitted("ranking (1 is best; rating: Elo's scale, mean 1500)", heads, rows, width, 3)


def cross_play_table(facts: dict[str, Any], width: int) -> Table:
    """What learned policies earn with those they were trained with, and with others."""
    found, numbers = facts["cross_play"], _numbers(facts)
    decimals = _decimals([one["with_partners"] for one in found])
    rows = []
    for one in found:
        scale = one["with_partners"]
        changes = [share(one, name) if scale else "-" for name in ("change", "candidates_change")]
        rows.append(
            [
                f"{numbers[one['policy']]} {_cut(one['policy'])}",
                _plus_minus(one["with_partners"], one["with_partners_half_width"], decimals),
                _plus_minus(one["with_others"], one["with_others_half_width"], decimals),
                *changes,
            ]
        )
    others = " / ".join(dict.fromkeys(one["others"] for one in found))
    heads = ["", "with training partners", f"with {others}", "change", "others in its seat"]
    return _fitted("cross-play, each in the seat it was trained in", heads, rows, width, 3)
