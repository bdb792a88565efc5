"""Instruments and collinear columns: what a regression's columns tell that others do not tell already.

Columns that others explain are refused by name, or left out as instruments; how much instruments tell about what they
stand for is the F of the first stage, robust to clusters by period. Below about 10 the estimates lean towards least
squares and their standard errors are not to be trusted (Staiger & Stock 1997; Stock & Yogo 2005).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from market.errors import UserError
from market.salesfile.findings import listed
from market.state import Floats

INDEPENDENT = 1e-8  # what others leave of a column, relative to it
WEAK = 10.0  # first-stage F


def refuse_collinear(table: pd.DataFrame, columns: dict[str, Floats]) -> None:
    """Columns that, within seller and market, others explain exactly: named, with what explains them."""
    frame = pd.DataFrame(columns, index=table.index)
    centred = (frame - frame.groupby([table["market"], table["seller"]]).transform("mean")).to_numpy()
    for name, spread in zip(columns, np.sqrt((centred**2).mean(0)), strict=True):
        if spread < 1e-10:
            raise UserError(f"column {said(name)} does not vary within any seller and market: nothing can be estimated")
    scaled = _scaled(centred)
    left = np.zeros(len(columns))  # the part of each column that those before it do not explain
    alone = np.abs(np.diag(np.linalg.qr(scaled, mode="r")))
    left[: len(alone)] = alone
    if (left < INDEPENDENT).any():
        k = int((left < INDEPENDENT).argmax())
        weights, *_ = np.linalg.lstsq(scaled[:, :k], scaled[:, k], rcond=None)
        others = [said(name) for name, weight in zip(columns, weights, strict=False) if abs(weight) > INDEPENDENT]
        explained = said(list(columns)[k])
        ours = (
            "; seasons are Bazaar's own: --season 1 leaves them out"
            if "season " in " ".join([explained, *others])
            else ""
        )
        raise UserError(
            f"collinear columns: {explained} is explained by {listed(dict.fromkeys(others))}: leave one out{ours}"
        )


def independent(table: pd.DataFrame, columns: dict[str, Floats], candidates: list[str]) -> list[str]:
    """Those candidates, each once, that columns and earlier candidates do not explain within seller and market."""
    new = [name for name in dict.fromkeys(candidates) if name not in columns]
    frame = pd.DataFrame(columns, index=table.index).join(table[new])
    centred = (frame - frame.groupby([table["market"], table["seller"]]).transform("mean")).to_numpy(np.float64)
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


def first_stage(table: pd.DataFrame, known: dict[str, Floats], instruments: list[str], endogenous: Floats) -> float:
    """Wald statistic of the instruments' coefficients / their number, in a regression of ``endogenous`` (rows,).

    Args:
        known: exogenous regressors, each (rows,); seller x market effects are taken off everything.
        instruments: columns of the table.

    Example: one instrument with coefficient 3 and clustered standard error 0.5: ``(3 / 0.5)^2 = 36``.
    """
    frame = pd.DataFrame({**known, "y": endogenous}, index=table.index).join(table[instruments])
    centred = frame - frame.groupby([table["market"], table["seller"]]).transform("mean")
    y = centred.pop("y").to_numpy(np.float64)
    x = centred[[*known, *instruments]].to_numpy(np.float64)
    scale = np.sqrt((x**2).mean(0))
    x = x / np.where(scale > 0, scale, 1.0)
    inverse = np.linalg.pinv(x.T @ x)
    slopes = inverse @ (x.T @ y)
    scores = pd.DataFrame(x * (y - x @ slopes)[:, None]).groupby(table["period"].to_numpy()).sum().to_numpy()
    covariance = inverse @ (scores.T @ scores) @ inverse
    count = len(instruments)
    tested, spread = slopes[-count:], covariance[-count:, -count:]
    return float(tested @ np.linalg.pinv(spread) @ tested) / count
