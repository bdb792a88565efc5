"""`bazaar deviate`: force a seller off its policy for one period and report what everybody does afterwards."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from market.errors import UserError
from market.spec.models import MarketSpec
from market.state import Floats
from policies.common.console import say
from policies.common.files import refuse_unwritable, write_json
from policies.common.progress import progress
from policies.common.results import Records
from policies.common.seeding import row_seed
from policies.common.torch_tools import one_torch_thread
from policies.config.command import ordered_by
from policies.config.learners import LearnerOptions
from policies.config.orders import DeviateOrder
from policies.config.run import seats_called
from policies.evaluation.run_sellers import RunSellers, analysis_path, refuse_unlike, run_sellers
from policies.evaluation.statistics import half_widths
from policies.sellers.rules.base import Seat, place
from policies.sellers.rules.compose import FixedSeller, Rules, parse_rules
from policies.sellers.rules.level_search import build
from policies.sellers.rules.pricing import Optimal
from policies.sellers.rules.replenishment import BaseStock
from policies.studies.deviate.impulse import ForcedDecision, Impulse, impulse

PRICE = re.compile(r"price\s*=\s*(.+)")


@dataclass(frozen=True)
class DeviationResponse(Records):
    """Mean differences to the undeviated twin, K periods afterwards, N sellers.

    ``price`` money, ``relative`` a share of the undeviated price, ``sold`` units, ``profit`` money, each (K + 1, N)
    with the half-width of its 95 % interval in ``half``; ``gain`` (K + 1,) is what the deviation has brought the
    deviator up to and with a period: its profit changes, discounted by ``gamma`` a period from the deviation on, and
    the change in its stock valued as evaluation values it. Intervals are over training seeds where there are several
    runs, else over the episodes of one; ``samples`` says which.
    """

    names: list[str]
    seat: int
    rule: str
    at: int
    samples: str
    mean: dict[str, Floats]
    half: dict[str, Floats]
    gain: Floats
    gain_half: Floats
    gamma: float = 1.0

    def records(self) -> list[dict[str, Any]]:
        """A row a period and seller: the mean differences to the twin, each with its half-width."""
        return [
            {"period": self.at + k, "seller": name}
            | {key: float(values[k, seat]) for key, values in self.mean.items()}
            | {f"{key}_half_width": float(values[k, seat]) for key, values in self.half.items()}
            for k in range(len(self.gain))
            for seat, name in enumerate(self.names)
        ]

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> DeviationResponse:
        """A response from what :meth:`plain` made of it; raises :class:`KeyError` and such for what it did not make."""
        mean = {name: np.array(values, np.float64) for name, values in facts["mean"].items()}
        half = {name: _array((facts.get("half_width") or {}).get(name), values) for name, values in mean.items()}
        gain = np.array(facts["gain"], np.float64)
        gain_half, names = _array(facts.get("gain_half_width"), gain), list(facts["sellers"])
        over, gamma = str(facts.get("intervals_over", "episodes")), float(facts.get("gamma", 1.0))
        about = names, names.index(facts["seller"]), str(facts["to"]), int(facts["at"]), over
        return cls(*about, mean, half, gain, gain_half, gamma)

    def plain(self) -> dict[str, Any]:
        """As JSON has it: every array (K + 1, N) as nested lists, in seat order; half-widths None where unknown."""
        return {
            "sellers": self.names,
            "seller": self.names[self.seat],
            "to": self.rule,
            "at": self.at,
            "gamma": self.gamma,
            "intervals_over": self.samples,
            "mean": {name: values.tolist() for name, values in self.mean.items()},
            "half_width": {name: _finite(values) for name, values in self.half.items()},
            "gain": self.gain.tolist(),
            "gain_half_width": _finite(self.gain_half),
        }


def _finite(values: Floats) -> Any:
    return values.tolist() if np.isfinite(values).all() else None


def _array(values: Any, like: Floats) -> Floats:
    """Half-widths of ``like``, NaN where they are unknown."""
    return np.full(like.shape, np.nan) if values is None else np.array(values, np.float64)


@ordered_by(DeviateOrder)
def deviate(order: DeviateOrder) -> DeviationResponse:
    """Carry out `bazaar deviate`: print the table and the verdict, write the files.

    ``deviate-SELLER-RULE.json`` (keys: :meth:`DeviationResponse.plain`, ``runs``, ``episodes`` a run, ``verdict``) and the
    picture of the same name stand in the ``analysis`` folder of the first run. Nothing is written over.

    Example::

        from policies import deviate

        response = deviate("runs/first", seller="left", to="price=1.5", periods=5, episodes=16)
        print(response.to_frame().pivot(index="period", columns="seller", values="price"))
    """
    from policies.studies.deviate.view import draw_response, tables, verdict

    one_torch_thread()
    refuse_unwritable(order.json)
    refuse_unwritable(order.png)
    runs = [run_sellers(folder, order.checkpoint) for folder in order.runs]
    refuse_unlike(order.runs, [run.spec for run in runs])
    spec, response = runs[0].spec, respond(runs, order)
    played = re.sub(r"[^A-Za-z0-9_.]+", "_", order.to).strip("_")
    path = analysis_path(runs[0].folder, f"deviate-{order.seller}-{played}")
    about = {"runs": [str(run.folder) for run in runs], "episodes": order.episodes, "verdict": verdict(spec, response)}
    for file in (path.with_name(f"{path.name}.json"), order.json):
        write_json(file, response.plain() | about)
    picture = draw_response(spec, response)
    for file in (path.with_name(f"{path.name}.png"), order.png):
        if file is not None:
            picture.savefig(file)
    for table in tables(spec, response):
        table.print(order.console)
    say(order.console, f"written: {path}.json and .png", "dim")
    return response


def respond(runs: Sequence[RunSellers], order: DeviateOrder) -> DeviationResponse:
    """Play every run with and without the deviation."""
    first, spec = runs[0], runs[0].spec
    (seat,) = seats_called(order.seller, spec, "--seller")
    at = moment(first, order)
    deviation = find_deviation(first, seat, order.to, order.seed)
    settings = {"at": at, "periods": order.periods, "markets": order.episodes}
    impulses = []
    with progress(order.console, f"{order.seller} plays {order.to} for one {spec.period}") as tick:
        for run in runs:
            tick(str(run.folder), 0)
            seed = row_seed(order.seed, "evaluate")
            impulses.append(impulse(spec, run.sellers, seat, deviation, seed=seed, **settings))
            tick(str(run.folder), order.episodes)
    value = first.config.evaluation.salvage * spec.sellers[seat].unit_cost
    return summarise(spec.names, seat, order.to, at, impulses, discount(first, seat), value)


def moment(run: RunSellers, order: DeviateOrder) -> int:
    """The period of the deviation; raise :class:`UserError` when what follows does not fit into an episode."""
    at = run.config.evaluation.warm_up if order.at is None else order.at
    horizon, last = run.spec.horizon, run.spec.horizon - 1 - order.periods
    if at > last:
        where = f"--at {at}" if order.at is not None else f"--at (by default evaluation.warm_up, {at})"
        room = f"at most {last} leaves" if last >= 0 else "no period leaves"
        raise UserError(f"{where}: {room} room for --periods {order.periods} in a market.horizon of {horizon}")
    return at


def discount(run: RunSellers, seat: int) -> float:
    """The discount factor a period by which the seat's learner learned; its default where rules sit."""
    name, entry = run.players[seat].learner, run.config.player(seat)
    own = entry if isinstance(entry, dict) and "learner" in entry else {}
    given = own.get("gamma", run.config.learners.get(name or "", {}).get("gamma"))
    return float(LearnerOptions.model_fields["gamma"].default if given is None else given)


def find_deviation(run: RunSellers, seat: int, text: str, seed: int) -> ForcedDecision:
    """What ``--to`` asks for: rules, or a price as ``price=1.5``. Rules without replenishment leave orders alone."""
    price = PRICE.fullmatch(text.strip())
    if not price and "=" in text and "(" not in text:
        raise UserError(
            f"--to {text}: must be a price, such as price=1.5, or rules, such as undercut(step=0.05)+base_stock"
        )
    rules = parse_rules(f"constant(price={price.group(1)})" if price else text, "--to")
    with place(f"--to {text}"):
        if rules.replenishment is not None or not run.spec.stocked or isinstance(rules.pricing, Optimal):
            return ForcedDecision(build(rules, run.spec, seat, seed=seed), rules.replenishment is not None)
        return ForcedDecision(price_alone(rules, run.spec, seat))


def price_alone(rules: Rules, spec: MarketSpec, seat: int) -> FixedSeller:
    """The rules' price and no order: a seller who only posts prices needs no stock level that may not exist."""
    at, pricing = Seat(spec, seat), rules.pricing

    def level() -> float | Floats:
        return BaseStock().kept_level(at, lambda: pricing.usual(at))

    return FixedSeller(rules, at, pricing.bind(at, level), None)


def summarise(
    names: list[str],
    seat: int,
    rule: str,
    at: int,
    impulses: Sequence[Impulse],
    gamma: float = 1.0,
    unit_value: float = 0.0,
) -> DeviationResponse:
    """Means over samples: runs (training seeds) where there are several, else the episodes of the one.

    Args:
        gamma: discount factor a period of the deviator's gain.
        unit_value: money that a unit of the deviator's stock counts for in its gain.

    Example: profit changes 3, -1, -1 and nothing in stock, ``gamma`` 0.5: the gain is 3, 2.5, 2.25.
    """
    several = len(impulses) > 1

    def samples(one: Floats) -> Floats:
        return one.mean(axis=1, keepdims=True) if several else one

    parts = {
        "price": [one.change("price") for one in impulses],
        "relative": [one.relative_price() for one in impulses],
        "sold": [one.change("sold") for one in impulses],
        "profit": [one.change("profit") for one in impulses],
        "gain": [gains(one, seat, gamma, unit_value) for one in impulses],
    }
    joined = {name: np.concatenate([samples(one) for one in each], axis=1) for name, each in parts.items()}
    gain = joined.pop("gain")
    over = f"{len(impulses)} training seeds" if several else f"{gain.shape[1]} episodes of one training seed"
    return DeviationResponse(
        names=names,
        seat=seat,
        rule=rule,
        at=at,
        samples=over,
        mean={name: values.mean(axis=1) for name, values in joined.items()},
        half={name: half_widths(values, axis=1) for name, values in joined.items()},
        gain=gain.mean(axis=(1, 2)),
        gain_half=half_widths(gain, axis=1)[:, 0],
        gamma=gamma,
    )


def gains(one: Impulse, seat: int, gamma: float, unit_value: float) -> Floats:
    """The deviator's gain up to and with each period, (K + 1, M, 1)."""
    profit, stock = one.change("profit")[:, :, [seat]], one.stock_change()[:, :, [seat]]
    weight = (gamma ** np.arange(len(profit)))[:, None, None]
    return np.asarray(np.cumsum(weight * profit, axis=0) + weight * unit_value * stock)
