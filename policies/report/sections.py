"""The report's sections on results: headline, profits, an episode, learning. Each writes onto the page.

The report's last sections: how to read it, and what the run was.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from market.demand.equilibrium import monopoly_prices, nash_prices
from market.demand.logit import Logit
from market.errors import UserError
from market.metrics.summary import MEASURES
from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec
from market.state import Floats
from policies.common.seeding import row_seed
from policies.evaluation.compare import interval
from policies.report.data import ReportedSeller, Run, Spread, Together, best_fixed_row, judged_row
from policies.views.charts import learning_chart, spread_chart, varies
from policies.views.format import (
    DASH,
    Headline,
    column_form,
    columns_of,
    count,
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
    except UserError:
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


EXPLAINED = (
    "price",
    "market_share",
    "fill_rate",
    "stockout_rate",
    "conditional_value_at_risk",
    "maximum_drawdown",
)
SYSTEM = {"python": "Python ", "platform": ""}


def facts_section(page: Page, run: Run) -> None:
    """Market, budget, seed, command, versions."""
    page.section("run", "The run")
    about, training, spec = run.about, run.config.training, run.spec
    learned = ", ".join(f"{p.name}: {p.kind}" for p in run.players)
    facts = {"command": about.get("command"), "sellers": learned, "seed": about.get("seed")}
    facts["budget"] = f"{training.budget:,} seller-periods, {training.markets:,} markets side by side"
    facts["checkpoints"] = "; ".join(_checkpoint(run, p) for p in run.players if p.learned)
    facts |= {"started": about.get("started"), "device": about.get("device")}
    facts["versions"] = ", ".join(f"{name} {version}" for name, version in _dictionary(about.get("versions")).items())
    facts["system"] = ", ".join(f"{name}{about[key]}" for key, name in SYSTEM.items() if key in about)
    page.definitions({name: str(value) for name, value in facts.items() if value not in (None, "")})
    page.heading(f"The market {spec.name}")
    page.paragraph(market_words(spec))
    _seller_table(page, spec)


def _dictionary(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _checkpoint(run: Run, player: ReportedSeller) -> str:
    scored = f", {number(player.score)} a {run.spec.period} then" if player.score is not None else ""
    return f"{player.name} after {player.trained:,} seller-periods{scored}"


def market_words(spec: MarketSpec) -> str:
    """The market in a sentence or two."""
    customers = spec.customers
    stock = "Stock is ordered ahead and held" if spec.stocked else "Goods are made to order"
    mean = f"{customers.rate:,g} a {spec.period}"
    random = (
        f"Customers, {mean} on average,"
        if customers.mode == "sampled"
        else f"Customers, a mass of {mean} without chance,"
    )
    prices = "the logarithm of price" if spec.price_form == "log" else "price"
    choice = "nested logit" if spec.nest else "multinomial logit"
    text = (
        f"{count(len(spec.sellers), 'seller')}, {spec.horizon:,} {spec.period}s. {random} choose by a {choice} in "
        f"{prices} (price sensitivity {spec.price_sensitivity:g}). {stock}."
    )
    if len(spec.locations) > 1:
        low, high = min(spec.sizes), max(spec.sizes)
        text += f" Every episode is played in one of {len(spec.locations)} locations, of size {low:g} to {high:g}."
    if spec.season:
        text += f" Utilities have a season of {count(len(spec.season), spec.period)}."
    if spec.tape is not None:
        text += f" The market replays the sales of {Path(spec.tape.file).name}."
    if spec.events is not None and any(seller.event_frequency for seller in spec.sellers):
        text += f" Promotions come by themselves and are announced {count(spec.announced, spec.period)} ahead."
    if spec.prices_linger and spec.reference_price is not None:
        text += (
            f" A price is held against those before it (reference price of weight {spec.reference_price.weight:g}, "
            f"memory {spec.reference_price.memory:g})."
        )
    return text


def _seller_table(page: Page, spec: MarketSpec) -> None:
    columns = {"quality": "quality", "unit_cost": "unit cost"}
    if spec.stocked:
        stocked = ("order_cost", "holding_cost", "stockout_cost", "lead_time", "stock")
        columns |= {key: key.replace("_", " ") for key in stocked if any(getattr(s, key) for s in spec.sellers)}
    heads = ["", *columns.values(), "prices", *(["order up to"] if spec.stocked else [])]
    rows = []
    for seller in spec.sellers:
        ranges = [f"{seller.prices[0]:g} to {seller.prices[1]:g}"]
        ranges += [f"{seller.order_up_to[0]:,g} to {seller.order_up_to[1]:,g}"] if spec.stocked else []
        rows.append([seller.name, *(f"{getattr(seller, key):g}" for key in columns), *ranges])
    page.table(heads, rows)


def words_section(page: Page, run: Run) -> None:
    """How to read the page, with definitions."""
    page.section("reading", "How to read this")
    page.paragraph(
        "A seller is judged in its own seat while all rivals follow one fixed rule (the line-up). Fixed competitors are "
        "tried in the same seat, against the same line-up and the same customers, so a difference between two rows is "
        "known far more precisely than either profit. Seeds that train, choose and judge a seller never meet."
        if len(run.spec.sellers) > 1
        else "Fixed competitors are tried in the same seat, with the same customers, so a difference between two rows is "
        "known far more precisely than either profit. Seeds that train, choose and judge a seller never meet."
    )
    page.definitions(_terms(run))


def _terms(run: Run) -> dict[str, str]:
    terms = {
        "±": "half the width of the 95 % confidence interval of a mean over episodes",
        "to best fixed": "profit less that of the best fixed competitor in the same seat, as a share of the latter; the "
        "interval is of the difference, episode by episode (paired)",
        "better in": "the share of episodes in which the seller earns more than the best fixed competitor, on the same "
        "customers; ties count half",
        "more / less / no different": "the 95 % interval of that difference lies above 0, below 0, or holds 0",
    }
    terms |= {_name(key): f"{MEASURES[key][1]} ({MEASURES[key][0]})" for key in EXPLAINED if key in run_measures(run)}
    if len(run.spec.sellers) > 1 and run.spec.tape is None:
        terms["profit gain"] = (
            "Calvano's Delta of the market: (profit − Nash profit) / (joint profit − Nash profit); 0 is competition, 1 "
            "what a cartel would earn"
        )
    terms["regret, exploitability"] = (
        "what a seat could earn more if it answered the others' policies, as they are, in the best way"
    )
    if run.spec.stocked:
        terms["inventory position, order up to"] = (
            "units on hand and on their way; an order brings the position up to the level decided"
        )
    return terms


def run_measures(run: Run) -> set[str]:
    """The measures that mean something in the run's market."""
    return set(MEASURES) - (set() if run.spec.stocked else {"fill_rate", "stockout_rate"})


def _name(key: str) -> str:
    return {"conditional_value_at_risk": "CVaR", "maximum_drawdown": "drawdown"}.get(key, key.replace("_", " "))
