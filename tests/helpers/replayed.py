"""A small sales file, and the market that replays it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from market.spec.models import MarketSpec
from tests.helpers.markets import a_market

MADE = {"inventory": "make_to_order", "customers": {"rate": 100.0, "mode": "expected"}}
OWN = {"order_up_to": [0, 0], "prices": [0.5, 5]}
TWO_BY_TWO = """market,period,seller,price,units,promo_feature
x,1,a,2.0,50,0
x,1,b,2.5,25,0.6
x,2,a,1.5,10,1
x,2,b,2.5,0,0
y,1,a,3.0,20,0
y,2,a,3.5,30,0
y,2,b,1.0,40,0.4
"""


def written(folder: Path, text: str = TWO_BY_TWO, name: str = "sales.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def replayed(path: Path, *sellers: dict[str, Any], horizon: int = 2, **changes: Any) -> MarketSpec:
    """Two sellers made to order, unless told otherwise, replaying the file."""
    seats = [OWN | seller for seller in sellers or ({}, {})]
    return MarketSpec.parse(a_market(*seats, horizon=horizon, tape={"file": str(path)}, **(MADE | changes)))
