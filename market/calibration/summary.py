"""A calibration as plain data: what its JSON report holds and its page shows."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from market.calibration.calibrate import Calibration
from market.calibration.market_file import season_cycle
from market.calibration.market_size import rule
from market.calibration.moment import market_at, market_means
from market.calibration.regression.design import TREND
from market.calibration.regression.instruments import said
from market.calibration.regression.logit import Estimate, log_log_elasticity
from market.calibration.uncertainty import Drawn
from market.calibration.validation import Validation


def summary(found: Calibration, checked: Validation | None, drawn: Drawn | None = None) -> dict[str, Any]:
    """Everything found, with standard errors; money in the file's currency, utilities without unit.

    ``drawn``: what the estimate leaves open, where it was drawn.
    """
    sales, fit = found.sales, found.fit
    sizes = market_means(found)
    data: dict[str, Any] = {
        "file": {"path": str(sales.path), "sha256": sales.sha256, "rows": len(sales.rows)},
        "sellers": found.sellers,
        "markets": sales.markets,
        "periods": {"count": len(sales.labels), "first": sales.labels[0], "last": sales.labels[-1], "step": sales.step},
        "log_log_elasticity": log_log_elasticity(sales.rows),
        "demand": _estimate(fit.fitted),
        "tried": [_estimate(one) for one in found.tried],
        "market_size": {
            "rule": rule(sales, found.options.size_factor, found.options.size),
            "by_market": sizes,
        },
        "hangs_on": [asdict(one) for one in found.variants],
        "endogeneity": None if found.endogeneity is None else asdict(found.endogeneity),
        "mean_price": _by_seller(found, found.price),
        "mean_share": _by_seller(found, found.share),
        "elasticity_rows_demand_columns_price": found.elasticity.tolist(),
        "unit_cost": {"source": found.cost_source, "by_seller": found.cost},
        "shocks": asdict(fit.shocks),
        "season": season_cycle(found),
        "promotions": None if fit.promotions is None else asdict(fit.promotions),
        "level_corrections": fit.moves,
        "options": asdict(found.options),
        "warnings": found.warnings,
    }
    moments = {"end": market_at(found, "end"), "middle": market_at(found, "middle")}
    data["written"] = {"at": found.options.at} | {
        name: {
            "quality": _by_seller(found, map(at.mean_quality, range(len(found.sellers)))),
            "unit_cost": at.cost,
            "price": at.price,
        }
        for name, at in moments.items()
    }
    if drawn is not None:
        data["draws"] = {"refused": drawn.refused, "markets": [asdict(one) for one in drawn.markets]}
    if checked is not None:
        data["validation"] = {
            "passed": checked.passed,
            "rows": checked.rows,
            "held_out_blocks": [asdict(one) for one in checked.checks],
            "last_fifth": [asdict(one) for one in checked.last],
            "market_written": [asdict(one) for one in checked.level],
        }
    return data


def _by_seller(found: Calibration, values: Any) -> dict[str, float]:
    return dict(zip(found.sellers, map(float, values), strict=True))


def _estimate(one: Estimate) -> dict[str, Any]:
    named = {"alpha": one.alpha, "rho": one.rho, "reference_weight": one.weight}
    named |= one.promotions | {f"season {name}": value for name, value in one.season.items()}
    named |= {f"{TREND}{seller}": value for seller, value in one.trends.items()}
    return {
        "price_form": one.form,
        "counts": one.counts,
        "coefficients": {
            name: {"estimate": value.value, "standard_error": value.error}
            for name, value in named.items()
            if value is not None
        },
        "reference_memory": one.memory,
        "instruments": list(one.instruments),
        "first_stage_f": {said(name): f for name, f in one.first_stage.items()},
        "r2_within": one.r2,
        "residual_sd": float(one.xi.std()),
        "rows": one.rows,
        "periods": one.periods,
    }
