"""Promotions as the market's events: how often, how long, with what effect; observed, not assumed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from market.calibration.logit import Estimate
from market.salesfile.table import PROMOTED

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Promotions:
    """One kind of event: ``effect`` in utility, ``mean_length`` in periods, ``frequency`` by seller.

    ``column`` is the promotion that explains most; ``steady``: utility by seller that the others, and this one's
    fractions, add on average, which belongs to quality.
    """

    column: str
    effect: float
    mean_length: float
    frequency: dict[str, float]
    steady: dict[str, float]


def fit_promotions(table: pd.DataFrame, fitted: Estimate, sellers: list[str]) -> Promotions | None:
    """The event behind the promotion of the largest effect x standard deviation; None where none helps.

    Example: a seller promoted in periods 2, 3 and 7 of 10: frequency 0.3, lengths 2 and 1, mean length 1.5.
    """
    gains = {name: one.value * float(table[name].std()) for name, one in fitted.promotions.items()}
    column = max(gains, key=lambda name: gains[name], default="")
    if not column or gains[column] <= 0:
        return None
    on = table[column] >= PROMOTED
    if not on.any() or on.all():
        return None
    effect = fitted.promotions[column].value * float(table.loc[on, column].mean())
    frequency = on.groupby(table["seller"]).mean().reindex(sellers).fillna(0.0)
    added = sum(one.value * table[name] for name, one in fitted.promotions.items()) - effect * on
    length = _mean_length(table, on)
    most = length / (1 + length)  # a period without one lies between two events
    return Promotions(
        column=column,
        effect=effect,
        mean_length=length,
        frequency={str(name): float(min(value, 0.999 * most)) for name, value in frequency.items()},
        steady={str(name): float(value) for name, value in added.groupby(table["seller"]).mean().items()},
    )


def _mean_length(table: pd.DataFrame, on: pd.Series[bool]) -> float:
    """Mean number of periods in a row, within each market's seller; a gap in the file ends a promotion."""
    keys = [table["market"], table["seller"]]
    before = on.groupby(keys).shift(1, fill_value=False)
    following = table["period"].groupby(keys).diff() == 1
    starts = on & ~(before & following)
    return float(np.maximum(on.sum() / max(int(starts.sum()), 1), 1.0))
