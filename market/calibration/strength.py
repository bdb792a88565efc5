"""How much the instruments tell about what they stand for: F of the first stage, robust to clusters by period.

Stock & Yogo (2005) and Staiger & Stock (1997): below about 10 the estimates lean towards least squares and their
standard errors are not to be trusted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from market.state import Floats

if TYPE_CHECKING:
    import pandas as pd

WEAK = 10.0


def first_stage(table: pd.DataFrame, known: dict[str, Floats], instruments: list[str], endogenous: Floats) -> float:
    """Wald statistic of the instruments' coefficients / their number, in a regression of ``endogenous`` (rows,).

    Args:
        known: exogenous regressors, each (rows,); seller x market effects are taken off everything.
        instruments: columns of the table.

    Example: one instrument with coefficient 3 and clustered standard error 0.5: ``(3 / 0.5)^2 = 36``.
    """
    import pandas as pd

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
