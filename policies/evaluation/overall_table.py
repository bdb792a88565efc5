"""What several comparisons say together, in words and as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from market.spec.models import MarketSpec
from policies.config.run import Evaluation
from policies.evaluation.aggregate import AcrossLineUps, AcrossRuns
from policies.evaluation.view import in_brackets, number, played, plus_minus, print_table, relative, word

ONE_SEED = "one training seed; train several with --seeds to tell luck from skill."
HOW_RUNS = (
    "Over runs: the scores are each run's mean difference to the best fixed competitor of each line-up. The interquartile "
    "mean leaves out the lowest and the highest quarter of them (of three none); the probability of improvement is that "
    "of a run to earn more than that competitor; 95 % intervals by bootstrap of whole runs, so a few runs say little "
    "(Agarwal et al. 2021)."
)


def print_line_ups(line_ups: AcrossLineUps, spec: MarketSpec, settings: Evaluation, console: Console) -> None:
    """The table of one seat over all line-ups, best first, and what it says of the subjects."""
    heads = ["", f"profit a {spec.period}", "to best fixed overall", "worst against", "to best fixed there"]
    cells = []
    for one in line_ups.standings:
        same = one.policy == line_ups.best or one.gap is None
        gap = "-" if same or one.gap is None else relative(one.gap, line_ups.best_mean)
        behind = number("{:+.2%}", one.behind)
        cells.append([one.policy, plus_minus("{:.4g}", one.profit, "{:.2g}"), gap, one.worst, behind])
    subjects = [one.subject for one in line_ups.standings]
    print_table(f"{line_ups.seat} over {len(line_ups.comparisons)} line-ups", heads, cells, subjects, console)
    for line in verdicts(line_ups):
        console.print(line, highlight=False)
    console.print(_how(line_ups, spec, settings), style="dim", highlight=False)


def verdicts(line_ups: AcrossLineUps) -> list[str]:
    """A sentence for every subject about its mean over line-ups."""
    if line_ups.best is None:
        return []
    lines = []
    for one in (one for one in line_ups.standings if one.subject and one.gap is not None):
        assert one.gap is not None
        amount = in_brackets(one.gap, line_ups.best_mean)
        lines.append(
            f"Over {len(line_ups.comparisons)} line-ups {one.policy} {word(one.gap)} the best fixed competitor overall, "
            f"{line_ups.best}: {amount}, better in {one.better:.0%} of episodes."
        )
    return lines


def _how(line_ups: AcrossLineUps, spec: MarketSpec, settings: Evaluation) -> str:
    numbers = sorted({len(comparison.results[0].profit) for comparison in line_ups.comparisons})
    span = f"{numbers[0]} to " if len(numbers) > 1 else ""
    return (
        f"Each line-up counts the same; {span}{played(numbers[-1], spec, settings)}. 95 % intervals (± half their "
        "width) by bootstrap, stratified over line-ups: the same episodes are drawn in all of them, which meet the "
        "same customers.\n"
    )


def print_runs(found: Sequence[AcrossRuns], console: Console) -> None:
    """What several training runs of a seller say together; of one alone, that it is one."""
    several = [runs for runs in found if len(runs.policies) > 1]
    for runs in several:
        if all(comparison.best is not None for comparison in runs.comparisons):
            console.print(_over_runs(runs), highlight=False)
    for runs in found:
        if several and runs not in several:
            console.print(f"{runs.seller}: {ONE_SEED}", style="dim", highlight=False)
    if several:
        console.print(HOW_RUNS + "\n", style="dim", highlight=False)
    elif found:
        console.print(f"{ONE_SEED[0].upper()}{ONE_SEED[1:]}\n", style="dim", highlight=False)


def _over_runs(runs: AcrossRuns) -> str:
    low, high = (_score(runs, end) for end in runs.ends)
    of = "more a period than the best fixed competitor" if runs.in_money else "of the best fixed competitor's profit"
    middle, chance, enough = runs.middle, runs.improvement, len(runs.policies) > 2
    between = f" [{_score(runs, middle.low)}, {_score(runs, middle.high)}]" if enough else ""
    likely = f" [{chance.low:.2f}, {chance.high:.2f}]" if enough else ""
    return (
        f"{runs.seller} over {len(runs.policies)} runs: interquartile mean {_score(runs, middle.value)}{between} {of}; "
        f"probability of improvement {chance.value:.2f}{likely}; range {low} to {high}."
        + ("" if enough else " An interval needs three runs.")
    )


def _score(runs: AcrossRuns, value: float) -> str:
    return f"{value:+.4g}" if runs.in_money else f"{value:+.2%}"
