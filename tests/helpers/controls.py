"""Markets known to be wrong, which the checks on held-out weeks must find: the shocks of a fit replaced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from market.calibration import validation
from market.calibration.calibrate import Calibration
from market.calibration.fit import Fit
from market.calibration.shocks import Shocks


def validate_with(control: Callable[[Shocks], Shocks], found: Calibration) -> validation.Validation:
    """Validate with the shocks of every fold's fit replaced."""
    fit_a_fold = validation._fit

    def wrong(*arguments: Any) -> Fit:
        fitted = fit_a_fold(*arguments)
        return replace(fitted, shocks=control(fitted.shocks))

    with patch.object(validation, "_fit", wrong):
        return validation.validate(found)


def poisson_only(shocks: Shocks) -> Shocks:
    """A control: nothing but counting noise."""
    return replace(shocks, common=0.0, own=dict.fromkeys(shocks.own, 0.0), dispersion=0.0)


def shocks_off(shocks: Shocks) -> Shocks:
    """A control: utilities do not vary; the common part stays, as overdispersion of customers."""
    return replace(shocks, common=0.0, own=dict.fromkeys(shocks.own, 0.0), dispersion=shocks.common**2)
