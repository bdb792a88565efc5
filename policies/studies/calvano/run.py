"""`bazaar reproduce calvano`: the headline of Calvano et al. (2020), and the same market with DQN and A2C sellers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from market.errors import UserError
from market.spec.loading import parse_model
from market.state import Ints
from market.theory.price_game import PriceGame
from policies.common.console import say
from policies.common.files import refuse_unwritable, write_json
from policies.common.interrupt import careful, raise_swallowed
from policies.common.progress import Progress, Task
from policies.common.results import Records, scalars
from policies.common.seeding import row_seed
from policies.config.command import ordered_by
from policies.config.orders import ReproduceOrder
from policies.config.run import RunConfig, read_config
from policies.storage.run_folder import choose_folder, describe, make_folder
from policies.studies.calvano.deep import LEARNERS, as_strategies, deep_config, refuse_more_than_prices, train_pair
from policies.studies.calvano.findings import Contender, Finding, find, plain_finding
from policies.studies.calvano.strategies import Strategies
from policies.studies.calvano.tabular_q import TabularOptions, TabularSellers, refuse_too_many
from policies.studies.calvano.view import save_impulse, tables

DELTAS = (0.95, 0.35)
STEPS = 2_000_000  # session-periods between two looks at the clock: a fifth of a second
# By discount factor: profit gain, and re-matched; Calvano et al. (2020) and an independent rewrite.
EXPECTED = {0.95: ("0.86 ± .02", "0.13 ± .02"), 0.35: ("0.16 ± .03", "")}


@dataclass
class _Work:
    """What the phases share, and what they have found so far."""

    order: ReproduceOrder
    config: RunConfig
    game: PriceGame
    folder: Path
    task: Task
    findings: list[Finding] = field(default_factory=list)
    name: str = ""

    def phase(self, name: str, total: float) -> None:
        """Begin a phase of ``total`` units of work."""
        self.task.bar.say(f"{name} ...")
        self.task.restart(name, total, "  0%")
        self.name = name

    def show(self, done: float, speed: str) -> None:
        """So many units of it are done."""
        share = min(done / self.task.total, 1.0)
        self.task.show(done, f"{self.name} {share:4.0%}   {speed}", text=f"{share:4.0%} {speed}")

    def take(self, contender: Contender, strategies: Strategies, saved: dict[str, Any]) -> None:
        """Add a finding and keep it at once, so that an interruption loses nothing that is done."""
        self.findings.append(find(contender, strategies, self.order.seed))
        prices: dict[str, Any] = {f"prices_{i}": grid for i, grid in enumerate(self.game.prices)}
        np.savez_compressed(self.folder / f"{contender.key}.npz", **prices, **saved)
        self.write()

    def write(self) -> None:
        """Write ``results.json`` and the picture of what there is."""
        write_json(self.folder / "results.json", self.results())
        save_impulse(self.findings, self.game, self.folder / "impulse.png")

    def show_tables(self) -> None:
        """Print the tables of what there is."""
        for table in tables(self.findings, self.game):
            table.print(self.order.console)

    def results(self) -> dict[str, Any]:
        """Everything found, as plain data."""
        references = {"nash_profit": self.game.nash.tolist(), "joint_profit": self.game.joint.tolist()}
        return {"what": self.order.what, **references, "findings": [plain_finding(one) for one in self.findings]}


@dataclass(frozen=True)
class ReproductionResult(Records):
    """What was found of each kind of sellers; the ``folder`` has files of everything."""

    folder: Path
    findings: list[Finding]

    def records(self) -> list[dict[str, Any]]:
        """A row a kind of sellers: profit gain, the same re-matched."""
        return [scalars(plain_finding(one)) for one in self.findings]


@ordered_by(ReproduceOrder)
def reproduce(order: ReproduceOrder) -> ReproductionResult:
    """Carry out `bazaar reproduce`: train, look, print the tables.

    Raises :class:`UserError` for an experiment that is not known, or a market that tables cannot play.

    Example::

        from policies import reproduce

        found = reproduce("calvano", sessions=2, seeds=0, beta=1e-3)
        print(found.to_frame()[["sellers", "profit_gain"]])
    """
    config, options = _read(order)
    refuse_unwritable(order.json)
    folder = choose_folder(order.runs, order.name, Path(f"reproduce-{order.what}"), order.seed)
    order.console.print(f"setting up {config.market.name} ...", highlight=False)
    game = PriceGame.of(config.market, row_seed(order.seed, "select"))
    _check(order, config, game)
    make_folder(folder)
    describe(folder, config, order.command, {"seed": order.seed, "sessions": order.sessions, "seeds": order.seeds})
    bar = Progress(order.console, lines=5, clock=True)
    work = _Work(order, config, game, folder, Task(bar))
    with careful(lambda: _interrupted(work)), bar:
        for one in options:
            _tabular(work, one)
        for learner in LEARNERS if order.seeds else ():
            _deep(work, learner)
    work.show_tables()
    write_json(order.json, work.results())
    say(order.console, f"figures, strategy tables, picture: {folder}")
    return ReproductionResult(folder, work.findings)


def _read(order: ReproduceOrder) -> tuple[RunConfig, list[TabularOptions]]:
    config = read_config(order.config or order.what, order.changes)
    if len(config.market.sellers) < 2:
        raise UserError(f"{order.config}: has one seller; what is reproduced is competition, so it needs two or more")
    given = {"alpha": order.alpha, "beta": order.beta, "initial": order.initial}
    deltas = DELTAS if order.delta is None else (order.delta,)
    try:
        return config, [parse_model(TabularOptions, given | {"delta": delta}, "-") for delta in deltas]
    except UserError as problem:
        raise UserError(str(problem).replace("-.", "--")) from None


def _check(order: ReproduceOrder, config: RunConfig, game: PriceGame) -> None:
    """Before a folder is made: what cannot be done is refused now and not after a phase."""
    try:
        refuse_too_many(game, order.sessions)
    except UserError as problem:
        raise UserError(f"--{problem}") from None
    if order.seeds:
        refuse_more_than_prices(config.market)


def _interrupted(work: _Work) -> str:
    """What is finished is shown, and where it is."""
    work.show_tables()
    names = "; ".join(one.contender.name for one in work.findings) or "nothing yet"
    return f"interrupted: finished and in {work.folder}: {names}"


def _tabular(work: _Work, options: TabularOptions) -> None:
    """A session for every row, all at once, until the last has converged."""
    order, key = work.order, f"tabular-{options.delta:g}"
    sellers = TabularSellers(work.game, order.sessions, options, row_seed(order.seed, "train"))
    usual = min(options.longest, (10.0 / options.beta if options.beta else np.inf) + options.stable)
    sellers.run(1)  # compiles, which is not to count as speed
    work.phase(key, order.sessions)
    while not (finished := sellers.finished).all():
        sellers.run(max(1_000, STEPS // int((~finished).sum())))
        raise_swallowed()
        age, done = sellers.tables.age, int(sellers.finished.sum())
        speed = f"{age.sum() / work.task.seconds / 1e6:.1f} million periods/s, {done} of {order.sessions} sessions"
        work.show(float(np.where(sellers.finished, 1.0, np.minimum(age / usual, 0.95)).sum()), speed)
    settings: dict[str, Any] = options.model_dump()
    settings |= {"unconverged": int((~sellers.converged).sum()), "mean_periods": float(sellers.tables.age.mean())}
    tables = sellers.tables
    saved = {"q": tables.q, "greedy": tables.greedy, "state": tables.state, "periods": tables.age}
    contender = Contender(
        key, f"tabular, δ {options.delta:g}", "session", options.delta, settings, *_expected(order, options)
    )
    work.take(contender, Strategies(work.game, sellers.greedy, tables.state), saved)


def _expected(order: ReproduceOrder, options: TabularOptions) -> tuple[str, str]:
    """What is known of the paper's own experiment, nothing of any other."""
    paper = TabularOptions(delta=options.delta)
    same = options == paper and order.config is None and not order.changes
    return EXPECTED.get(options.delta, ("", "")) if same else ("", "")


def _deep(work: _Work, learner: str) -> None:
    """The learner in every seat, trained anew for every seed."""
    from policies.training.train import pick_device  # brings Tianshou, which tabular sellers do without

    pick_device("cpu")
    order, delta = work.order, work.order.delta if work.order.delta is not None else DELTAS[0]
    config = deep_config(work.config, learner, delta, order.budget)
    total, done = order.seeds * config.training.budget, 0
    tables: list[Ints] = []

    def advance(periods: int) -> None:
        nonlocal done
        done += periods
        speed = f"{done / work.task.seconds / 1e3:.0f} thousand seller-periods/s, {len(tables)} of {order.seeds} seeds"
        work.show(done, speed)

    work.phase(learner, total)
    for k in range(order.seeds):
        tables.append(train_pair(config, work.game, order.seed + k, advance))
    settings = {"gamma": delta, "budget": config.training.budget, "seeds": order.seeds}
    strategies = as_strategies(work.game, tables)
    work.take(
        Contender(learner, f"{learner.upper()}, γ {delta:g}", "seed", delta, settings),
        strategies,
        {"greedy": strategies.table},
    )
