"""Instruments and collinear columns: what a regression's columns tell that others do not tell already.

Columns that others explain are refused by name, or left out as instruments; how much instruments tell about what they
stand for is the F of the first stage, robust to clusters by period. Below about 10 the estimates lean towards least
squares and their standard errors are not to be trusted (Staiger & Stock 1997; Stock & Yogo 2005).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from market.calibration.regression.absorbed import Absorbed
from market.calibration.regression.standard_errors import by_period, within
from market.errors import UserError
from market.salesfile.findings import listed
from market.state import Floats

INDEPENDENT = 1e-8  # what others leave of a column, relative to it
WEAK = 10.0  # first-stage F


def refuse_collinear(columns: dict[str, Floats], absorbed: Absorbed) -> None:
    """Columns that, within seller and market, trends and others explain exactly: named, with what explains them."""
    raw = np.column_stack(list(columns.values()))
    spread = dict(zip(columns, np.sqrt((within(raw, absorbed.effect) ** 2).mean(0)), strict=True))
    spread |= {"trend": float(np.sqrt(absorbed.square.min() / len(raw)))} if len(absorbed.square) else {}
    for name, own in spread.items():
        if own < 1e-10:
            raise UserError(f"column {said(name)} does not vary within any seller and market: nothing can be estimated")
    length = np.array([spread[name] for name in columns]) * np.sqrt(len(raw))
    scaled = absorbed.off(raw) / length
    left = np.zeros(len(columns))  # the part of each column that trends and those before it do not explain
    alone = np.abs(np.diag(np.linalg.qr(scaled, mode="r")))
    left[: len(alone)] = alone
    if (left < INDEPENDENT).any():
        k = int((left < INDEPENDENT).argmax())
        weights, *_ = np.linalg.lstsq(scaled[:, :k], scaled[:, k], rcond=None)
        others = [said(name) for name, weight in zip(columns, weights, strict=False) if abs(weight) > INDEPENDENT]
        if _by_trends(raw[:, : k + 1] / length[: k + 1], absorbed):
            others.insert(0, said("trend"))
        explained = said(list(columns)[k])
        ours = (
            "; seasons are Bazaar's own: --season 1 leaves them out"
            if "season " in " ".join([explained, *others])
            else ""
        )
        raise UserError(
            f"collinear columns: {explained} is explained by {listed(dict.fromkeys(others))}: leave one out{ours}"
        )


def _by_trends(columns: Floats, absorbed: Absorbed) -> bool:
    """Whether those before the last column (R, K) do not explain it without the trends."""
    centred = within(columns, absorbed.effect)
    weights, *_ = np.linalg.lstsq(centred[:, :-1], centred[:, -1], rcond=None)
    return bool(np.linalg.norm(centred[:, -1] - centred[:, :-1] @ weights) > INDEPENDENT)


def independent(
    table: pd.DataFrame, columns: dict[str, Floats], candidates: list[str], absorbed: Absorbed
) -> list[str]:
    """Those candidates, each once, that columns, trends and earlier candidates do not explain within seller and market."""
    new = [name for name in dict.fromkeys(candidates) if name not in columns]
    centred = absorbed.off(np.column_stack([*columns.values(), table[new].to_numpy(np.float64)]))
    known = np.linalg.qr(_scaled(centred[:, : len(columns)]))[0]
    kept: list[str] = []
    for name, one in zip(new, centred[:, len(columns) :].T, strict=True):
        rest = one - known @ (known.T @ one)
        if np.sqrt((rest**2).mean()) > INDEPENDENT * max(float(table[name].abs().max()), 1e-300):
            known, kept = np.column_stack([known, rest / np.linalg.norm(rest)]), [*kept, name]
    return kept


def said(name: str) -> str:
    """Names that a user knows."""
    if name.startswith("trend"):
        return "trend (--no-trend)"
    if name.startswith("rivals_"):
        return f"rivals' {said(name.removeprefix('rivals_'))}"
    words = {"f": "price", "reference": "reference price", "within": "share among the sellers"}
    return (words | {"instrument_cost": "cost"}).get(name, name)


def _scaled(columns: Floats) -> Floats:
    """Columns of length 1."""
    return np.asarray(columns / np.sqrt((columns**2).sum(0)))


def first_stage(
    table: pd.DataFrame, known: dict[str, Floats], instruments: list[str], endogenous: Floats, absorbed: Absorbed
) -> float:
    """Wald statistic of the instruments' coefficients / their number, in a regression of ``endogenous`` (rows,).

    Args:
        known: exogenous regressors, each (rows,); seller x market effects and trends are taken off everything.
        instruments: columns of the table.

    Example: one instrument with coefficient 3 and clustered standard error 0.5: ``(3 / 0.5)^2 = 36``.
    """
    y = absorbed.off(endogenous[:, None])[:, 0]
    x = absorbed.off(np.column_stack([*known.values(), table[instruments].to_numpy(np.float64)]))
    scale = np.sqrt((x**2).mean(0))
    x = x / np.where(scale > 0, scale, 1.0)
    inverse = np.linalg.pinv(x.T @ x)
    slopes = inverse @ (x.T @ y)
    scores = by_period(x * (y - x @ slopes)[:, None], table["period"].to_numpy())
    covariance = inverse @ (scores.T @ scores) @ inverse
    count = len(instruments)
    tested, spread = slopes[-count:], covariance[-count:, -count:]
    return float(tested @ np.linalg.pinv(spread) @ tested) / count
