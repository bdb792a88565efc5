"""Do the 95 % intervals of calibrations hold the truth? Simulated files whose parameters are known.

python -m tests.experiments.price_coefficient [--files 200] [--first 0] [NAME ...] >> tests/experiments/price_coefficient.md

Each file is a calibration's regression as `bazaar calibrate` does it, trends and nest among the columns. A line is printed
for each design: files, mean and standard deviation of the estimates, mean standard error, share of intervals that hold,
and that share with errors clustered by period only.
"""

from __future__ import annotations

import argparse

import numpy as np

from market.calibration.fit import ModelChoice, design_for
from market.calibration.options import CalibrationOptions
from market.calibration.regression.design import COST
from market.calibration.regression.logit import Estimate, design_columns, estimate, regression
from market.calibration.regression.standard_errors import NORMAL, by_period, slope_scores
from tests.helpers.truths import ALPHA, RHO, Design, sales_in_memory, sales_of

CASES: dict[str, tuple[Design, int, int, tuple[str, ...]]] = {  # design, markets, periods, instruments
    "persistent": ("persistent", 5, 104, ()),
    "persistent, one market": ("persistent", 1, 104, ()),
    "exogenous": ("exogenous", 5, 104, ()),
    "exogenous, one market of 52": ("exogenous", 1, 52, ()),
    "endogenous, --iv cost": ("endogenous", 5, 104, ("cost",)),
}


def fitted(name: str, seed: int) -> tuple[Estimate, list[float]]:
    """The estimate of a file, and the errors of alpha and rho with periods as clusters."""
    design_name, markets, periods, names = CASES[name]
    sales = sales_in_memory(sales_of(design_name, seed, markets, periods))
    choice, options = ModelChoice("log", True, None, (COST,) if names else ()), CalibrationOptions(instruments=names)
    design = design_for(sales, sales.rows["market_size"].astype(float), choice, options)
    one = estimate(design, True, choice.instruments)
    columns = design_columns(design, True)
    x, z, absorbed = regression(design, columns, one.instruments)
    summed = by_period(slope_scores(x, z, one.xi.to_numpy(), absorbed.effect), design.sold["period"].to_numpy())
    clustered = dict(zip(columns, np.sqrt((summed**2).sum(0)), strict=True))
    return one, [clustered["f"], clustered["within"]]


def line(name: str, first: int, files: int) -> str:
    """The line of a design."""
    found, errors, clustered = [], [], []
    for seed in range(first, first + files):
        one, plain = fitted(name, seed)
        assert one.rho is not None
        found.append((one.alpha.value, one.rho.value))
        errors.append((one.alpha.error, one.rho.error))
        clustered.append(plain)
    off = np.abs(np.array(found) - (ALPHA, RHO))
    held, before = ((off <= NORMAL * np.array(one)).mean(0) for one in (errors, clustered))
    cells = [np.mean(found, axis=0), np.std(found, axis=0, ddof=1), np.mean(errors, axis=0), held, before]
    return f"| {name} | {files} | " + " | ".join(f"{a:.3f} / {b:.3f}" for a, b in cells) + " |"


def main() -> None:
    """Print the lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *CASES], default=[])
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    for name in asked.names or CASES:
        print(line(name, asked.first, asked.files), flush=True)


if __name__ == "__main__":
    main()
