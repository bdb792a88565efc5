"""What a user may decide about a calibration; everything else is decided by the data and said in the report.

Imports nothing, so that a command line can be read without pandas.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

INSTRUMENTS = ("cost", "rivals", "promotions")
Moment = Literal["end", "middle"]
DOUBTS = ("fractions", "multiples", "gaps", "one-row", "steady-price", "not-significant", "negative-cost")
FACTOR = 1.5  # the market size is so many times the busiest period


@dataclass(frozen=True)
class CalibrationOptions:
    """``form`` auto takes what fits better. ``nest``: try one, with instruments. ``instruments``: for the price, none is
    least squares. ``reference``: memory of a reference price, None without. ``season_length``: periods in a cycle,
    None by the file's dates. ``gamma``: the common shock as overdispersion of customers. ``force``: names of ``DOUBTS`` that are accepted.
    ``cost_share``: unit costs as this share of the mean price, None: the file's or implied ones.
    ``at``: the moment of the file that the market is of. ``replay``: the configuration replays the file's periods.
    ``lead_time`` and ``holding`` (share of the unit cost a period) are assumptions that a sales file does not tell.
    """

    form: Literal["auto", "linear", "log"] = "auto"
    nest: bool = True
    instruments: tuple[str, ...] = ()
    reference: float | None = None
    size_factor: float = FACTOR
    size: float | None = None
    season_length: int | None = None
    trend: bool = True
    gamma: bool = False
    force: tuple[str, ...] = ()
    inventory: Literal["stocked", "make_to_order"] = "stocked"
    lead_time: int = 1
    holding: float = 0.05
    cost_share: float | None = None
    replay: bool = False
    at: Moment = "end"
