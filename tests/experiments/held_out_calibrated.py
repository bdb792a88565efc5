"""The held-out markets that come from a sales file: known markets sell, and `bazaar calibrate` makes markets of it.

python -m tests.experiments.held_out_calibrated [NAME ...]

Writes tests/experiments/held_out/NAME.yaml anew: what is trained in are the estimates, ranges and assumptions that
calibrate writes of such a file; its grids, its draws of the estimate and its seats are left out. The files that are
committed were written once, by the calibrate that took the market of a file's middle: written anew they are other
markets, and what was measured in the old ones does not stand beside them.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from policies.sales.calibrate import calibrate
from policies.sales.record import record

FOLDER = Path(__file__).with_name("held_out")
HEAD = "# Written by `python -m tests.experiments.held_out_calibrated`, of sales that a known market made.\n"


def _sellers(names: str, **columns: list[Any]) -> list[dict[str, Any]]:
    """One seller a name; ``columns`` list their numbers."""
    rows = zip(*columns.values(), strict=True)
    return [
        {"name": name, "order_up_to": [0, 10**7], "holding_cost": 0.01} | dict(zip(columns, row, strict=True))
        for name, row in zip(names.split(), rows, strict=True)
    ]


# What sells: money as in the file, utilities chosen so that volumes come to what the comment says.
TRUTHS: dict[str, dict[str, Any]] = {
    "cafe": {  # 30 cups a day of two sorts, a week's rhythm of taste
        "horizon": 210,
        "period": "day",
        "price_sensitivity": 1.3,
        "customers": {"rate": 70},
        "season": [-0.3, -0.2, 0.0, 0.0, 0.2, 0.5, 0.3],
        "demand_shock": {"common": 0.1},
        "sellers": _sellers(
            "filter flat_white",
            quality=[3.1, 4.4],
            unit_cost=[0.6, 1.1],
            prices=[[2.4, 3.6], [3.2, 4.8]],
            xi=[0.15, 0.2],
        ),
    },
    "coffee": {  # 3,000 packets a week, three brands, promoted now and then
        "horizon": 104,
        "period": "week",
        "price_form": "log",
        "price_sensitivity": 3.3,
        "nest": 0.2,
        "customers": {"rate": 9_000},
        "demand_shock": {"persistence": 0.2, "common": 0.15},
        "events": {"effect": 0.7, "mean_length": 1.5},
        "sellers": _sellers(
            "arabica house mild",
            quality=[6.1, 4.9, 5.2],
            unit_cost=[5.2, 3.6, 4.1],
            prices=[[7.0, 10.5], [4.9, 7.2], [5.5, 8.2]],
            xi=[0.25, 0.3, 0.35],
            event_frequency=[0.1, 0.25, 0.2],
        ),
    },
    "sugar": {  # 40,000 kilos a week, four brands whose margins are thin
        "horizon": 104,
        "period": "week",
        "price_form": "log",
        "price_sensitivity": 7.5,
        "customers": {"rate": 90_000},
        "demand_shock": {"persistence": 0.4, "common": 0.1},
        "sellers": _sellers(
            "alba beet crystal own",
            quality=[-0.8, -1.1, -0.5, -1.9],
            unit_cost=[0.84, 0.8, 0.87, 0.72],
            prices=[[0.92, 1.12], [0.88, 1.08], [0.95, 1.16], [0.78, 0.96]],
            xi=[0.2, 0.25, 0.2, 0.3],
        ),
    },
    "tuna": {  # 900,000 tins a week, seven brands
        "horizon": 104,
        "period": "week",
        "price_form": "log",
        "price_sensitivity": 4.2,
        "nest": 0.15,
        "customers": {"rate": 2_400_000},
        "demand_shock": {"persistence": 0.3, "common": 0.2},
        "events": {"effect": 0.8, "mean_length": 1.8},
        "sellers": _sellers(
            "anchor bay coral delta ebb fin gulf",
            quality=[-2.6, -2.2, -2.9, -2.0, -3.4, -1.4, -3.0],
            unit_cost=[0.55, 0.6, 0.5, 0.68, 0.45, 0.95, 0.58],
            prices=[[0.62, 0.95], [0.68, 1.02], [0.58, 0.86], [0.78, 1.15], [0.52, 0.78], [1.1, 1.6], [0.66, 1.0]],
            xi=[0.3, 0.25, 0.35, 0.2, 0.4, 0.3, 0.35],
            event_frequency=[0.15, 0.2, 0.25, 0.1, 0.1, 0.05, 0.3],
        ),
    },
}
LEFT_OUT = ("grid:", "# tape:", "# Replay the file's own", "uncertainty:", "draws:", "- {price_sensitivity:")
OPTIONS: dict[str, dict[str, Any]] = {"cafe": {"season": 7, "lead_time": 0}, "tuna": {"lead_time": 2}}


def written(name: str, folder: Path) -> str:
    """The market file of a truth's sales, ``folder`` for the files on the way."""
    truth, sales, output = folder / "truth.yaml", folder / f"{name}.csv", folder / f"{name}.yaml"
    truth.write_text(yaml.safe_dump({"market": TRUTHS[name] | {"name": name}}), encoding="utf-8")
    record(str(truth), output=sales, markets=1)
    calibrate(sales, output=output, **OPTIONS.get(name, {}))
    return HEAD + "".join(_kept(output.read_text(encoding="utf-8").splitlines(keepends=True)))


def _kept(lines: list[str]) -> Iterator[str]:
    """The head and the market, without grids, draws, places of this machine, and what follows the sellers."""
    for line in lines:
        if line.startswith("seats:"):
            return
        if not line.strip().startswith(LEFT_OUT):
            yield line


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *TRUTHS], default=[])
    for name in parser.parse_args().names or TRUTHS:
        with tempfile.TemporaryDirectory() as folder:
            (FOLDER / f"{name}.yaml").write_text(written(name, Path(folder)).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
