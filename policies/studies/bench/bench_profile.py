"""`bazaar bench --profile`: where the time of training goes.

Clocks are put around the parts of the very loop that ``training`` of the figures plays, two readings a call. Rounds
with and without clocks take turns, and what the clocks cost is printed, so nobody has to believe that they cost little.
A part within another stops the other's clock, so the parts add up. On a GPU every part waits for the device before its
clock stops, or work would count where it is waited for; that takes away the overlap, and shows as the clocks' cost.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from policies.studies.bench.workloads import PLAYERS, Trained, play, training_loop

if TYPE_CHECKING:
    from policies.selfplay.loop import SelfPlay

PERIODS, FEWEST_ROUNDS = 50, 3
MARKET = "market"
PARTS = (
    "acting",
    "market step",
    "observing",
    "remembering",
    "sampling and targets",
    "forward and backward",
    "optimiser",
    "target networks",
    "rest",
)
Key = tuple[str, str]  # part, and whose it is: a learner's name, or MARKET


class Clocks:
    """Seconds spent in each part; in a part within another only the inner one's clock runs.

    ``settle`` is called before a clock is read: on a GPU, to wait for it.
    """

    def __init__(self, settle: Callable[[], None] | None = None) -> None:
        self.seconds: defaultdict[Key, float] = defaultdict(float)
        self._running: list[Key] = []
        self._since = 0.0
        self._settle = settle

    def _read(self) -> None:
        """Book the time since the last reading to the part that runs."""
        if self._settle is not None:
            self._settle()
        now = time.perf_counter()
        if self._running:
            self.seconds[self._running[-1]] += now - self._since
        self._since = now

    def around(self, call: Callable[..., Any], key: Key) -> Callable[..., Any]:
        """``call`` with a clock."""

        def timed(*args: Any, **options: Any) -> Any:
            self._read()
            self._running.append(key)
            try:
                return call(*args, **options)
            finally:
                self._read()
                self._running.pop()

        return timed


def parts_of(loop: SelfPlay) -> Iterator[tuple[Any, str, Key]]:
    """Each part's object, method and key."""
    yield loop.batch, "step", ("market step", MARKET)
    yield loop.batch, "reset", ("market step", MARKET)
    yield loop.batch, "observe", ("observing", MARKET)
    for seat, learner in loop.learners.items():
        name, algorithm = PLAYERS[seat][0], learner.algorithm
        yield loop.seats[seat], "act", ("acting", name)
        yield learner, "remember", ("remembering", name)
        yield algorithm, "_prepared", ("sampling and targets", name)
        yield algorithm, "_update_with_batch", ("forward and backward", name)
        if hasattr(algorithm, "_update_lagged_network_weights"):
            yield algorithm, "_update_lagged_network_weights", ("target networks", name)
        for optim in algorithm._optimizers:
            yield optim.step.__self__, "descend", ("optimiser", name)


@contextmanager
def clocked(loop: SelfPlay, clocks: Clocks) -> Iterator[None]:
    """Put clocks around all parts of a loop, and take them off again."""
    parts = list(parts_of(loop))
    for owner, method, key in parts:
        setattr(owner, method, clocks.around(getattr(owner, method), key))
    try:
        yield
    finally:
        for owner, method, _ in parts:
            delattr(owner, method)


def measure(seconds: float, setup: Trained | None = None) -> dict[str, Any]:
    """Play rounds with and without clocks in turn for so long.

    Returns ``parts``, seconds a period by part and whose it is, and the median speeds with and without clocks.
    """
    chosen = setup or _default_setup()
    loop, clocks = training_loop(chosen), Clocks(_waiting(chosen.device))
    play(loop, PERIODS)
    speeds: dict[bool, list[float]] = {False: [], True: []}
    end, total = time.perf_counter() + seconds, 0.0
    while len(speeds[True]) < FEWEST_ROUNDS or time.perf_counter() < end:
        played, took = play(loop, PERIODS)
        speeds[False].append(played / took)
        with clocked(loop, clocks):
            played, took = play(loop, PERIODS)
        speeds[True].append(played / took)
        total += took
    clocks.seconds["rest", MARKET] = total - sum(clocks.seconds.values())
    periods = PERIODS * len(speeds[True])
    parts: dict[str, dict[str, float]] = {part: {} for part in PARTS}
    for (part, whose), spent in clocks.seconds.items():
        parts[part][whose] = spent / periods
    medians = {name: statistics.median(speeds[on]) for name, on in (("with_clocks", True), ("without_clocks", False))}
    return {
        "setup": chosen._asdict(),
        "rounds": len(speeds[True]),
        "parts": parts,
        "seller_periods_per_second": medians,
    }


def _default_setup() -> Trained:
    import torch

    return Trained(device="cuda" if torch.cuda.is_available() else "cpu")


def _waiting(device: str) -> Callable[[], None] | None:
    import torch

    return torch.cuda.synchronize if device == "cuda" else None


def show(profile: dict[str, Any], console: Console) -> None:
    """Print the table and what the clocks cost."""
    setup, parts = profile["setup"], profile["parts"]
    total = sum(sum(spent.values()) for spent in parts.values())
    title = f"where the time of training goes: {setup['markets']:,} markets, batches of {setup['batch']:,}, {setup['device']}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("part", no_wrap=True)
    names = [name for name, _ in PLAYERS]
    for head in ("share", "µs a period", *names):
        table.add_column(head, justify="right", no_wrap=True)
    for part, spent in parts.items():
        own = [f"{1e6 * spent[name]:,.0f}" if name in spent else "-" for name in names]
        all_of_it = sum(spent.values())
        table.add_row(part, f"{all_of_it / total:.1%}", f"{1e6 * all_of_it:,.0f}", *own)
    console.print(table)
    speeds = profile["seller_periods_per_second"]
    cost = 1 - speeds["with_clocks"] / speeds["without_clocks"]
    told = f"{speeds['without_clocks'] / 1e3:,.0f} k seller-periods a second without clocks, "
    told += f"{speeds['with_clocks'] / 1e3:,.0f} k with: the clocks cost {cost:.1%}"
    console.print(told, highlight=False)
