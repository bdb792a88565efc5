"""The regression that every analyst has seen, to compare with: log units on log price, an intercept for each seller."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def log_log_elasticity(rows: pd.DataFrame) -> float:
    """Own-price elasticity by least squares; rows without a sale are left out.

    Prices 1, 2 and units 100, 25 of one seller: ``ln (25 / 100) / ln 2 = -2``.
    """
    sold = rows[rows["units"] > 0]
    seller = sold["seller"].factorize()[0]
    price, units = (np.log(sold[name].to_numpy(np.float64)) for name in ("price", "units"))
    count = np.maximum(np.bincount(seller), 1)
    x = price - (np.bincount(seller, price) / count)[seller]
    y = units - (np.bincount(seller, units) / count)[seller]
    spread = float(x @ x)
    return float(x @ y) / spread if spread > 0 else 0.0
