"""`bazaar deviate`: force a seller off its policy for one period and report what everybody does afterwards."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from market.errors import Refusal
from market.layout import Floats
from policies.bar import progress
from policies.evaluation import interval
from policies.fixed import parse_rules
from policies.frozen import FrozenRun, analysis_path, frozen_run, refuse_different_markets
from policies.impulse import Deviation, Impulse, impulse
from policies.judge import refuse_unwritable, terminal
from policies.rule import place
from policies.runs import write_json
from policies.search import build
from policies.seeds import row_seed

PRICE = re.compile(r"price\s*=\s*(.+)")


@dataclass(frozen=True)
class DeviateOrder:
    """What `bazaar deviate` was asked."""

    runs: tuple[Path, ...]
    seller: str
    to: str = "best_response"
    periods: int = 15
    at: int | None = None
    episodes: int = 512
    seed: int = 0
    json: Path | None = None
    png: Path | None = None


@dataclass(frozen=True)
class Response:
    """Mean differences to the undeviated twin, K periods afterwards, N sellers.

    ``price`` money, ``relative`` a share of the undeviated price, ``sold`` units, ``profit`` money, each (K + 1, N)
    with the half-width of its 95 % interval in ``half``; ``gain`` (K + 1,) is the deviator's summed profit change up
    to and with a period. The interval is over training seeds where there are several runs, else over episodes.
    """

    names: list[str]
    seat: int
    rule: str
    at: int
    samples: str
    mean: dict[str, Floats]
    half: dict[str, Floats]
    gain: Floats = field(default_factory=lambda: np.zeros(0))
    gain_half: Floats = field(default_factory=lambda: np.zeros(0))

    def plain(self) -> dict[str, Any]:
        """As JSON has it: every array (K + 1, N) as nested lists, in seat order."""
        return {
            "sellers": self.names,
            "seller": self.names[self.seat],
            "to": self.rule,
            "at": self.at,
            "intervals_over": self.samples,
            "mean": {name: values.tolist() for name, values in self.mean.items()},
            "half_width": {name: _finite(values) for name, values in self.half.items()},
            "gain": self.gain.tolist(),
            "gain_half_width": _finite(self.gain_half),
        }


def _finite(values: Floats) -> Any:
    return np.where(np.isfinite(values), values, 0.0).tolist() if np.isfinite(values).all() else None


def deviate(order: DeviateOrder) -> Response:
    """Carry out `bazaar deviate`: print the table and the verdict, write the files."""
    from policies.deviate_view import draw_response, print_response

    torch.set_num_threads(1)
    refuse_unwritable(order.json)
    refuse_unwritable(order.png)
    console = terminal()
    runs = [frozen_run(folder) for folder in dict.fromkeys(order.runs)]
    refuse_different_markets(runs)
    response = respond(runs, order)
    picture = draw_response(runs[0].spec, response)
    stem = f"deviate-{order.seller}-{re.sub(r'[^A-Za-z0-9_.]+', '_', order.to).strip('_')}"
    written = analysis_path(runs[0].folder, stem, ".json")
    write_json(written, response.plain())
    picture.savefig(written.with_suffix(".png"))
    if order.json:
        write_json(order.json, response.plain())
    if order.png:
        picture.savefig(order.png)
    print_response(runs[0].spec, response, console)
    console.print(f"written: {written} and its .png", style="dim", highlight=False, soft_wrap=True)
    return response


def respond(runs: list[FrozenRun], order: DeviateOrder) -> Response:
    """Play every run with and without the deviation."""
    spec = runs[0].spec
    seat = runs[0].seat(order.seller)
    at = _moment(runs[0], order)
    deviation = find_deviation(runs[0], seat, order.to, order.seed)
    impulses = []
    with progress(terminal(), f"{order.seller} plays {order.to} for one {spec.period}") as tick:
        for run in runs:
            tick(str(run.folder), 0)
            impulses.append(
                impulse(
                    spec,
                    run.sellers,
                    seat,
                    deviation,
                    at=at,
                    periods=order.periods,
                    markets=order.episodes,
                    seed=row_seed(order.seed, "evaluate"),
                )
            )
    return summarise(spec.names, seat, order.to, at, impulses)


def _moment(run: FrozenRun, order: DeviateOrder) -> int:
    at = run.config.evaluation.warm_up if order.at is None else order.at
    horizon = run.spec.horizon
    if at + order.periods >= horizon:
        raise Refusal(
            f"--at {at} and --periods {order.periods}: the {run.spec.period}s watched must end before the episode "
            f"does (market.horizon {horizon})"
        )
    return at


def find_deviation(run: FrozenRun, seat: int, text: str, seed: int) -> Deviation:
    """What ``--to`` asks for: rules, or a price as ``price=1.5``. Rules without replenishment leave orders alone."""
    price = PRICE.fullmatch(text.strip())
    if price:
        text = f"constant(price={price.group(1)})"
    rules = parse_rules(text, "--to")
    with place("--to"):
        return Deviation(build(rules, run.spec, seat, seed=seed), rules.replenishment is not None)


def summarise(names: list[str], seat: int, rule: str, at: int, impulses: list[Impulse]) -> Response:
    """Means over samples: runs (training seeds) where there are several, else the episodes of the one."""
    several = len(impulses) > 1

    def samples(one: Floats) -> Floats:
        return one.mean(axis=1, keepdims=True) if several else one

    changes = {
        "price": [samples(one.change("price")) for one in impulses],
        "relative": [samples(one.relative_price()) for one in impulses],
        "sold": [samples(one.change("sold")) for one in impulses],
        "profit": [samples(one.change("profit")) for one in impulses],
    }
    joined = {name: np.concatenate(parts, axis=1) for name, parts in changes.items()}
    running = np.cumsum(joined["profit"][:, :, seat], axis=0)
    over = f"{len(impulses)} training seeds" if several else f"{running.shape[1]} episodes of one training seed"
    return Response(
        names=names,
        seat=seat,
        rule=rule,
        at=at,
        samples=over,
        mean={name: values.mean(axis=1) for name, values in joined.items()},
        half={name: half_widths(values) for name, values in joined.items()},
        gain=running.mean(axis=1),
        gain_half=half_widths(running[:, :, None])[:, 0],
    )


def half_widths(values: Floats) -> Floats:
    """Half-widths (K, N) of the 95 % intervals of means over the middle axis of (K, samples, N)."""
    return np.array([[interval(values[t, :, k]) for k in range(values.shape[2])] for t in range(len(values))])
