"""What a run's charts in TensorBoard show: which stand together, and a line of meaning with the unit of each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from market.metrics.summary import GLOSSARY

CHARTS = {
    "Result": [
        *("profit", "profit_against_fixed", "objective_against_fixed", "worst_against_the_pool"),
        *("profit_gain", "revenue", "market_share", "hhi"),
    ],
    "Decisions": ["price", "price_volatility", "price_changes", "ordered", "on_hand"],
    "Service": [
        *("stockout_rate", "fill_rate", "cycle_service_level", "sold", "lost"),
        *("inventory_turnover", "days_of_supply", "bullwhip"),
    ],
    "Costs": ["purchase_cost", "order_cost", "holding_cost", "stockout_cost", "price_change_cost"],
    "Risk": [
        *("volatility", "downside_deviation", "value_at_risk", "conditional_value_at_risk"),
        *("period_value_at_risk", "period_conditional_value_at_risk"),
        *("maximum_drawdown", "drawdown_length", "probability_of_loss"),
    ],
}
LEARNING = [
    *("profit", "objective"),
    *("loss", "actor_loss", "critic_loss", "mean_q", "entropy", "epsilon", "noise", "learning_rate"),
]

# Lines of other figures in the chart of one.
BESIDE = {
    "profit": ("nash_profit", "joint_profit"),
    "profit_against_fixed": ("best_fixed_profit",),
}
MONEY = "money a period"
WORDS = {  # beside those of GLOSSARY: unit and meaning
    "profit_against_fixed": (MONEY, "profit in the seat against the first line-up of fixed competitors"),
    "objective_against_fixed": (
        MONEY,
        "the same as the learner's own reward and risk see it; its best policy is chosen by it",
    ),
    "worst_against_the_pool": ("share", "least, over line-ups, of what it earns less the best known there"),
    "best_fixed_profit": (
        MONEY,
        "profit of the best fixed competitor in the seat against that line-up, from the final table",
    ),
    "nash_profit": (MONEY, "profit of the seat where all post Nash prices, on the same customers"),
    "joint_profit": (MONEY, "profit of the seat where all post joint-profit prices, on the same customers"),
    "profit_gain": ("ratio", "0 where all post Nash prices, 1 where all post joint-profit prices"),
    "total_profit": (MONEY, "profit of all sellers together"),
    "seller_periods_per_second": ("1 / s", "speed of learning, evaluations apart"),
    "loss": ("rewards as learned, squared", "what the value network minimises"),
    "critic_loss": ("rewards as learned, squared", "what the critic minimises"),
    "actor_loss": ("rewards as learned", "what the actor minimises"),
    "mean_q": ("rewards as learned", "mean value of the decisions in a batch, by the learner's own network"),
    "tail_q": ("rewards as learned", "the same, the lower tail weighted as risk says"),
    "entropy": ("nats", "spread of the policy's decisions"),
    "epsilon": ("share", "decisions that are drawn at random while learning"),
    "noise": ("standard deviation", "of the noise on decisions while learning, which lie in [-1, 1]"),
    "learning_rate": ("step size", "Adam's, as it falls over the run"),
    "updates": ("gradient steps", "so far"),
    "reward_baseline": ("rewards as learned", "mean that rewards are taken less of"),
    "objective": (MONEY, "what the learner's reward made of what it earned while exploring"),
    "gain": (MONEY, "what the last round's response gained over the mixture"),
    "nash_conv": (MONEY, "sum of what responses gained: 0 in an equilibrium"),
    "regret_in_the_game": (MONEY, "what a change within the population could still gain"),
    "round": ("rounds", "of responses so far"),
    "difference": ("money a period", "to the best fixed competitor, on the same customers"),
}


def described(tag: str) -> str:
    """What a chart shows, in TensorBoard's Markdown: its unit and its meaning; empty of what has no words."""
    phase, metric, *_ = (*tag.split("/"), "")
    unit, meaning = WORDS.get(metric) or GLOSSARY.get(metric) or ("", "")
    exploring = ", while exploring" if phase == "training" and metric == "profit" else ""
    return f"**{unit}**: {meaning}{exploring}; steps are seller-periods" if unit else ""


def layout(tags: Iterable[str]) -> dict[str, dict[str, list[Any]]]:
    """TensorBoard's custom-scalar layout for the tags that there are: one chart per metric, all sellers in it."""
    known = set(tags)
    charts = {group: [f"evaluation/{metric}" for metric in metrics] for group, metrics in CHARTS.items()}
    charts["Learning"] = [f"training/{metric}" for metric in LEARNING]
    return {
        group: {_title(tag): ["Multiline", [f"^{one}$" for one in _lines(tag)]] for tag in wanted if tag in known}
        for group, wanted in charts.items()
        if known.intersection(wanted)
    }


def _lines(tag: str) -> list[str]:
    """What stands in the chart of a tag: beside it what it is to be compared with."""
    return [tag, *(f"evaluation/{metric}" for metric in BESIDE.get(tag.removeprefix("evaluation/"), ()))]


def _title(tag: str) -> str:
    """The chart's title; what is earned while exploring is told from what evaluation shows."""
    phase, metric = tag.split("/")
    words = metric.replace("_", " ")
    return f"{words} in training" if phase == "training" and metric in LEARNING[:2] else words
