"""The report's last sections: how to read it, and what the run was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from market.metrics.glossary import MEASURES
from market.spec.models import MarketSpec
from policies.report.data import Player, Run
from policies.views.format import count, number
from policies.views.page import Page

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


def _checkpoint(run: Run, player: Player) -> str:
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
