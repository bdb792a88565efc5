"""What a run writes while it goes: TensorBoard events and metrics.csv, the same scalars in both.

Tags are ``evaluation/<metric>/<seller>`` and ``training/<metric>/<seller>``; the custom-scalar layout puts all
sellers of a metric into one chart. Steps count seller-periods.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from torch.utils.tensorboard import SummaryWriter

CHARTS = {
    "Result": ["profit", "profit_against_fixed", "revenue", "market_share"],
    "Decisions": ["price", "ordered", "on_hand"],
    "Service": ["stockout_rate", "fill_rate", "sold", "lost", "inventory_turnover"],
    "Costs": ["purchase_cost", "order_cost", "holding_cost", "stockout_cost", "price_change_cost"],
    "Risk": ["volatility", "value_at_risk", "conditional_value_at_risk", "maximum_drawdown", "probability_of_loss"],
}
COLUMNS = ("step", "phase", "seller", "metric", "value")


class Tracker:
    """Writes one run's events and metrics; use as a context manager so that nothing is lost on Ctrl-C."""

    def __init__(self, folder: Path, sellers: list[str]) -> None:
        self._writer = SummaryWriter(str(folder))
        self._file = open(folder / "metrics.csv", "w", newline="", encoding="utf-8")  # noqa: SIM115
        self._rows = csv.writer(self._file)
        self._rows.writerow(COLUMNS)
        self._writer.add_custom_scalars(layout(sellers))

    def __enter__(self) -> Tracker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._writer.close()
        self._file.close()

    def scalars(self, phase: str, step: int, seller: str, values: Mapping[str, float]) -> None:
        """Record each metric of one seller (``market`` for the whole) under ``phase/metric/seller``."""
        for metric, value in values.items():
            if np.isfinite(value):
                self._writer.add_scalar(f"{phase}/{metric}/{seller}", value, step)
                self._rows.writerow((step, phase, seller, metric, repr(float(value))))
        self._file.flush()

    def histogram(self, step: int, seller: str, metric: str, values: NDArray[Any]) -> None:
        """Record the distribution of a decision."""
        self._writer.add_histogram(f"decisions/{metric}/{seller}", np.asarray(values, np.float64).ravel(), step)

    def figure(self, step: int, name: str, figure: Any) -> None:
        """Record a matplotlib figure and close it."""
        self._writer.add_figure(name, figure, step, close=True)

    def text(self, name: str, content: Mapping[str, Any]) -> None:
        """Record plain data as YAML text."""
        listing = yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True)
        self._writer.add_text(name, "```yaml\n" + listing + "```")

    def hparams(self, options: Mapping[str, Any], figures: Mapping[str, float]) -> None:
        """Record the run's options beside its final figures."""
        plain = {k: v if isinstance(v, (bool, int, float, str)) else str(v) for k, v in options.items()}
        finite = {f"final/{k}": v for k, v in figures.items() if np.isfinite(v)}
        self._writer.add_hparams(plain, finite, run_name=".")


def layout(sellers: list[str]) -> dict[str, dict[str, list[Any]]]:
    """TensorBoard's custom-scalar layout: one chart per metric, all sellers in it."""
    names = [*sellers, "market"]
    return {
        group: {
            metric.replace("_", " "): ["Multiline", [f"evaluation/{metric}/{name}$" for name in names]]
            for metric in metrics
        }
        for group, metrics in CHARTS.items()
    }
