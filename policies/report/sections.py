"""The report's sections on results: headline, profits, an episode, learning. Each writes onto the page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from market.demand.equilibrium import Logit, monopoly_prices, nash_prices
from market.errors import Refusal
from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec
from market.state import Floats
from policies.common.seeding import row_seed
from policies.evaluation.compare import interval
from policies.report.data import Run, Spread, Together, best_fixed_row, judged_row
from policies.views.charts import learning_chart, spread_chart, varies
from policies.views.format import (
    DASH,
    Headline,
    column_form,
    columns_of,
    headline,
    number,
    plus_minus,
    to_best,
    warm_up_words,
)
from policies.views.page import Page
from policies.views.report_episode import episode_chart

VERDICTS = {1: " more", 0: "", -1: " less"}


def headline_section(page: Page, run: Run, spreads: Sequence[Spread]) -> None:
    """One card and sentence for each learned seller, then the tables of evaluation.json."""
    page.section("results", "How good are they?")
    found = {spread.player.name: float(spread.profits[spread.player.label].mean()) for spread in spreads}
    cards = []
    for player in run.learners:
        judged, best = judged_row(run, player), best_fixed_row(run, player)
        cards.append(_card(headline(run.spec, player.label, judged, best, found.get(player.name))))
    page.html(f'<div class="cards">{"".join(cards)}</div>')
    missing_paragraphs(page, run)
    for rows in _tables(run.rows):
        _table(page, run, rows)
    if run.rows:
        page.paragraph(_how(run), "note")


def _card(one: Headline) -> str:
    return (
        f'<div class="card{VERDICTS[one.verdict]}"><div class="who">{escape(one.seller)}</div>'
        f'<div class="figure">{escape(one.figure)}</div><div class="caption">{escape(one.caption)}</div>'
        f"<p>{escape(one.sentence)}</p></div>"
    )


def missing_paragraphs(page: Page, run: Run) -> None:
    """What the run's folder lacks, and how to get it."""
    meant = {
        "evaluation.json": (
            "There is no final table (evaluation.json): the run was interrupted, or is still going on. Sellers are shown "
            f"as they were at their best evaluation so far; bazaar evaluate {run.folder} judges them."
        ),
        "metrics.csv": "There are no learning curves (metrics.csv is missing or empty).",
        "run.json": "The command, seed and versions of the run are unknown (run.json is missing or unreadable).",
    }
    for file in run.missing:
        page.paragraph(meant[file], "missing")


def _tables(rows: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The rows of one seat against one line-up together, in the order written."""
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["seat"], row.get("line_up")), []).append(row)
    return list(found.values())


def _table(page: Page, run: Run, rows: list[dict[str, Any]]) -> None:
    columns, form = columns_of(rows), column_form(row["profit"] for row in rows)
    ranked = sorted(rows, key=lambda row: -float(row["profit"]))
    best = max((row for row in rows if not row.get("judged")), key=lambda row: float(row["profit"]), default=None)
    heads = ["", f"profit a {run.spec.period}", "to best fixed", *(head for head, _ in columns.values())]
    cells = [
        [row["policy"], plus_minus(row, "profit", 1.0, form, form), to_best(row, best)]
        + [number(row.get(key), form) for key, (_, form) in columns.items()]
        for row in ranked
    ]
    judged = [bool(row.get("judged")) for row in ranked]
    alone = len(run.spec.sellers) == 1
    caption = f"In the seat of {rows[0]['seat']}" + ("" if alone else f", against {rows[0].get('line_up')}")
    page.table(heads, cells, caption, judged)


def _how(run: Run) -> str:
    settings, spec, episodes = run.config.evaluation, run.spec, {row.get("episodes") for row in run.rows}
    played = " to ".join(f"{n:,}" for n in sorted({min(e), max(e)})) if (e := [n for n in episodes if n]) else "some"
    valued = f" Stock left is valued at {settings.salvage:g} × unit cost." if spec.stocked else ""
    return (
        f"{played} episodes of {spec.horizon:,} {spec.period}s{warm_up_words(settings.warm_up)}; ± is half of a 95 % "
        f"interval; within a table all rows meet the same customers.{valued}"
    )


def spread_section(page: Page, run: Run, spreads: Sequence[Spread]) -> None:
    """Distributions of episode profit."""
    page.section("spread", "How sure is the profit?")
    chart = spread_chart(run.spec, spreads)
    if chart is not None:
        page.chart(chart)
    for spread in spreads:
        if not any(varies(profit) for profit in spread.profits.values()):
            earned = ", ".join(f"{label} {number(float(profit[0]))}" for label, profit in spread.profits.items())
            page.paragraph(
                f"In the seat of {spread.player.name} nothing is random: every episode earns the same a "
                f"{run.spec.period} ({earned})."
            )


def episode_section(page: Page, run: Run, together: Together, seed: int) -> None:
    """The run's sellers against each other: figures beside theory's prices, and one episode."""
    spec = run.spec
    page.section("episode", "What happens when they meet?" if len(spec.sellers) > 1 else "What happens in an episode?")
    _together_table(page, run, together)
    page.chart(episode_chart(spec, run.players, together.episode, promotions(spec, seed)))


def _together_table(page: Page, run: Run, together: Together) -> None:
    spec = run.spec
    theory = {"Nash price": _theory(spec, nash_prices), "joint-profit price": _theory(spec, monopoly_prices)}
    form = column_form(together.profits.mean(axis=0).tolist())
    rates = {"market_share": ("share", "{:.1%}"), "fill_rate": ("fill rate", "{:.1%}"), "on_hand": ("stock", "{:.1f}")}
    rates = {key: column for key, column in rates.items() if key in together.figures}
    heads = ["", f"profit a {spec.period}", "mean price", *theory, *(head for head, _ in rates.values())]
    rows = []
    for player in run.players:
        own = together.profits[:, player.seat]
        profit = {"profit": float(own.mean()), "profit_half_width": interval(own)}
        cells = [player.label, plus_minus(profit, "profit", 1.0, form, form)]
        cells.append(number(float(together.figures["price"][player.seat]), "{:.3f}"))
        cells += [DASH if p is None else number(float(p[player.seat]), "{:.3f}") for p in theory.values()]
        cells += [number(float(together.figures[key][player.seat]), form) for key, (_, form) in rates.items()]
        rows.append(cells)
    alone = len(spec.sellers) == 1
    who = "The seller alone" if alone else "All sellers of the run together"
    caption = f"{who}, {len(together.profits):,} episodes, each as it was at its best evaluation"
    page.table(heads, rows, caption, [player.learned for player in run.players])
    page.paragraph(
        "Nash and joint-profit prices are theory's, without stock and promotions: at Nash prices nobody gains by another "
        "price alone, joint-profit prices earn most for all sellers together.",
        "note",
    )


def _theory(spec: MarketSpec, prices: Any) -> Floats | None:
    try:
        found: Floats = prices(Logit.of(spec))
    except Refusal:
        return None
    return found


def promotions(spec: MarketSpec, seed: int) -> Floats | None:
    """When promotions are on in the first evaluation episode (T, N); None in a market without any."""
    if spec.events is None or not any(seller.event_frequency for seller in spec.sellers):
        return None
    batch = MarketBatch(spec, 1, row_seed(seed, "evaluate"))
    batch.reset()
    shown: Floats = batch.tape.event[0, : spec.horizon].astype(float)
    return shown


def learning_section(page: Page, run: Run) -> None:
    """Curves of metrics.csv."""
    page.section("learning", "How did they learn?")
    chart = learning_chart(run)
    if chart is None:
        page.paragraph("No learning curve was written.", "missing")
    else:
        page.chart(chart)
