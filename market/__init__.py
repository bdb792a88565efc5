"""The marketplace: sellers who compete for one stream of customers, with stock and prices.

:class:`MarketSpec` is a market's configuration, :class:`MarketBatch` many such markets as arrays; :func:`parallel_env`
and :func:`env` are one for PettingZoo, :class:`SeatEnv` one seat of it for Gymnasium. A name is imported when used.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from market.envs.gym import SeatEnv as SeatEnv
    from market.envs.parallel import env as env
    from market.envs.parallel import parallel_env as parallel_env
    from market.errors import UserError as UserError
    from market.simulation.batch import MarketBatch as MarketBatch
    from market.spec.models import MarketSpec as MarketSpec

# numba's threads spin while they wait for one another: beside a busy program two of them were up to 60 times slower
# than one. This must be set before the OpenMP library is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_PLACES = {
    "MarketSpec": "market.spec.models",
    "MarketBatch": "market.simulation.batch",
    "parallel_env": "market.envs.parallel",
    "env": "market.envs.parallel",
    "SeatEnv": "market.envs.gym",
    "UserError": "market.errors",
}
__all__ = list(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_PLACES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
