"""Markets known to be wrong, which the checks on held-out weeks must find: the shocks of a fit replaced."""

from __future__ import annotations

from dataclasses import replace

from market.calibration.shocks import Shocks


def poisson_only(shocks: Shocks) -> Shocks:
    """A control: nothing but counting noise."""
    return replace(shocks, common=0.0, own=dict.fromkeys(shocks.own, 0.0), dispersion=0.0)


def shocks_off(shocks: Shocks) -> Shocks:
    """A control: utilities do not vary; the common part stays, as overdispersion of customers."""
    return replace(shocks, common=0.0, own=dict.fromkeys(shocks.own, 0.0), dispersion=shocks.common**2)
