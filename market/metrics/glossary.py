"""What every measure is called, its unit and what it is in a line: the one place that glossaries are made from.

Where a unit says "period", the market says what a period is (``MarketSpec.period``: a day, a week).
"""

from __future__ import annotations

MEASURES: dict[str, tuple[str, str]] = {
    "profit": ("money a period", "profit after all costs; opening and closing stock valued at salvage x unit cost"),
    "revenue": ("money a period", "price x units sold"),
    "purchase_cost": ("money a period", "unit cost x units ordered, paid when they are ordered"),
    "order_cost": ("money a period", "fixed cost of placing orders"),
    "holding_cost": ("money a period", "cost of units left on hand at the end of a period"),
    "stockout_cost": ("money a period", "cost of units wanted and not in stock"),
    "price_change_cost": ("money a period", "cost of changing the posted price"),
    "price": ("money per unit", "mean posted price"),
    "ordered": ("units a period", "mean order"),
    "on_hand": ("units", "mean stock for sale, after arrivals and before customers"),
    "sold": ("units a period", "mean sales"),
    "lost": ("units a period", "mean lost sales: wanted as first choice and not in stock"),
    "market_share": ("share", "units sold / units that all customers could have bought"),
    "stockout_rate": ("share of periods", "periods in which a customer found the shelf empty"),
    "cycle_service_level": ("share of cycles", "replenishment cycles, from arrival to arrival, without a stockout"),
    "fill_rate": ("share of units", "units served / units wanted"),
    "inventory_turnover": ("times a period", "units sold / mean stock, stock the mean of before and after customers"),
    "days_of_supply": ("periods", "mean stock / mean demand: how long stock would last; x turnover = fill rate"),
    "bullwhip": ("ratio", "variance of orders / variance of demand; above 1 orders swing more than demand"),
    "price_volatility": ("money per unit", "standard deviation of the posted price over an episode's periods"),
    "price_changes": ("an episode", "periods in which the price differs from the last, after the warm-up"),
    "hhi": ("0 to 1", "Herfindahl-Hirschman index: sum of squared revenue shares of the market's sellers"),
    "volatility": ("money a period", "standard deviation of profit from period to period, as the accounts book it"),
    "downside_deviation": ("money a period", "root mean square of what period profits fall short of 0"),
    "value_at_risk": (
        "money a period",
        "VaR: mean profit that the worst 5 % of episodes (or the level chosen) do not exceed",
    ),
    "conditional_value_at_risk": (
        "money a period",
        "CVaR: mean profit of the worst 5 % of episodes (or the level chosen)",
    ),
    "period_value_at_risk": (
        "money",
        "VaR over periods: profit that the worst 5 % (or the level chosen) of them do not exceed",
    ),
    "period_conditional_value_at_risk": (
        "money",
        "CVaR over periods: mean profit of the worst 5 % of them (or the level)",
    ),
    "maximum_drawdown": ("money", "deepest fall of an episode's cumulative profit from its peak"),
    "drawdown_length": ("periods", "how long that fall lasts, until the peak is reached again or the episode ends"),
    "probability_of_loss": ("share of episodes", "episodes that end with a loss"),
}

HIGHER_IS_BETTER = frozenset(
    (
        "profit",
        "fill_rate",
        "cycle_service_level",
        "inventory_turnover",
        "value_at_risk",
        "conditional_value_at_risk",
        "period_value_at_risk",
        "period_conditional_value_at_risk",
    )
)
LOWER_IS_BETTER = frozenset(
    (
        "stockout_rate",
        "bullwhip",
        "volatility",
        "downside_deviation",
        "maximum_drawdown",
        "drawdown_length",
        "probability_of_loss",
    )
)
