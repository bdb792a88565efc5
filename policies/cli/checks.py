"""What can be seen to be wrong with an order before anything heavy is imported: a mistake is told at once.

Commands check all of this again, and more, for calls from Python. What is called here brings neither torch nor Tianshou,
numba nor pandas, and is imported when it is its turn: a misspelt file is told before the rules are imported.
"""

from __future__ import annotations

from functools import singledispatch
from pathlib import Path
from typing import TYPE_CHECKING

from market.errors import UserError
from policies.config import orders
from policies.config.command import Order

if TYPE_CHECKING:
    from market.spec.models import MarketSpec


@singledispatch
def check(order: Order) -> None:
    """Raise :class:`UserError` for a mistake in the words of a command, or in the configuration that they name."""


@check.register
def _(order: orders.TrainOrder) -> None:
    from policies.config.run import read_config
    from policies.storage.run_folder import choose_folder

    choose_folder(order.runs, order.name, order.config, order.seed)
    config = read_config(order.config, order.changes)
    from policies.learners.build import check_players

    check_players(config)


@check.register
def _(order: orders.ResumeOrder) -> None:
    if not order.run.is_dir():
        raise UserError(f"--resume {order.run}: there is no such run")


@check.register
def _(order: orders.TuneOrder) -> None:
    from policies.config.run import read_config
    from policies.storage.run_folder import refuse_no_place

    refuse_no_place(order.runs)
    configs = [read_config(path, order.changes) for path in order.configs]
    from policies.learners.build import check_learner, check_players

    for config in configs:
        check_players(config)
    if order.learner is not None:
        check_learner(order.learner, "--learner")


@check.register
def _(order: orders.EvaluateOrder) -> None:
    from policies.config.run import read_config, seats_called
    from policies.storage.run_folder import learning_seats, open_run, refuse_no_run, refuse_other_sellers, seed_folders

    _refuse_files(order.json, order.csv)
    if order.against is not None:
        refuse_no_run(order.against, "--against ")
    for path in (run for subject in order.subjects for run in seed_folders(subject) or [subject]):
        config = open_run(path) if path.is_dir() else read_config(path, order.changes)
        names = config.market.names
        seats_called(order.seat, config.market)
        if path.is_dir():
            read_config(path / "config.yaml", order.changes)
            refuse_other_sellers(order.seller, path, (names[seat] for seat in learning_seats(config)))
        elif order.seller and order.seller not in names:
            _parse(order.seller, "--seller", config.market)
        if len(names) > 1 and order.against not in (None, "panel") and not Path(str(order.against)).is_dir():
            _parse(order.against, "--against", config.market)


@check.register
def _(order: orders.ReportOrder) -> None:
    from policies.storage.run_folder import open_run

    open_run(order.run)


@check.register
def _(order: orders.ExploitOrder) -> None:
    from policies.config.run import seats_called
    from policies.storage.run_folder import open_run

    _refuse_files(order.json)
    seats_called(order.seller, open_run(order.run).market, "--seller")


@check.register
def _(order: orders.DeviateOrder) -> None:
    from policies.config.run import seats_called
    from policies.storage.run_folder import open_run

    _refuse_files(order.json, order.png)
    for run in order.runs:
        seats_called(order.seller, open_run(run).market, "--seller")
    if "=" not in order.to or "(" in order.to:
        _parse(order.to, "--to")


@check.register
def _(order: orders.DecideOrder) -> None:
    _refuse_files(order.output, order.template)
    _refuse_seller(order.run, order.seller)
    if order.state is None and order.template is None:
        raise UserError("the following arguments are required: STATE (--template FILE writes one to fill in)")
    for path, name in ((order.state, ""), (order.rails, "--rails ")):
        if path is not None and not path.is_file():
            raise UserError(f"{name}{path}: no such file")


@check.register
def _(order: orders.ExportOrder) -> None:
    from policies.common.files import refuse_taken_folder

    _refuse_seller(order.run, order.seller)
    refuse_taken_folder(order.output)
    if order.rails is not None and not order.rails.is_file():
        raise UserError(f"--rails {order.rails}: no such file")


@check.register
def _(order: orders.ServeOrder) -> None:
    for run in order.runs:
        _refuse_seller(run, None)
    for path, name in ((order.rails, "--rails"), (order.token, "--token")):
        if path is not None and not path.is_file():
            raise UserError(f"{name} {path}: no such file")
    from policies.serving.access import token_of

    token_of(order)


@check.register
def _(order: orders.ShadowOrder) -> None:
    _refuse_files(order.output)
    if "://" not in order.db and not Path(order.db).is_file():
        raise UserError(f"{order.db}: no such file")
    if order.rails is not None and not order.rails.is_file():
        raise UserError(f"--rails {order.rails}: no such file")


@check.register
def _(order: orders.UpdateOrder) -> None:
    _refuse_files(order.json)
    _refuse_seller(order.run, order.seller)
    if order.sales is not None and not order.sales.exists():
        raise UserError(f"--sales {order.sales}: no such file")
    if order.db is not None and "://" not in order.db and not Path(order.db).is_file():
        raise UserError(f"--db {order.db}: no such file")
    if order.rollback:
        from policies.storage.lineage import promoted_by
        from policies.storage.run_folder import seller_asked

        promoted_by(order.run, seller_asked(order.run, order.seller))


def _refuse_seller(run: Path, seller: str | None) -> None:
    """Raise for a seller that did not learn in a run."""
    from policies.storage.run_folder import learning_seats, open_run, refuse_other_sellers

    config = open_run(run)
    refuse_other_sellers(seller, run, (config.market.names[seat] for seat in learning_seats(config)))


@check.register
def _(order: orders.TournamentOrder) -> None:
    from policies.storage.run_folder import refuse_no_place
    from policies.studies.tournament.words import entry_rules, markets_of

    _refuse_files(order.json)
    refuse_no_place(order.runs)
    first, *_ = markets_of(order.entries, order.config).values()
    for number, entry in enumerate(order.entries, 1):
        if not Path(entry).is_dir():
            entry_rules(entry, number, first.market)


@check.register
def _(order: orders.TheoryOrder) -> None:
    from policies.config.run import read_config, seats_called

    _refuse_files(order.json)
    seats_called(order.seat, read_config(order.config, order.changes).market)


@check.register
def _(order: orders.RecordOrder) -> None:
    from policies.config.run import read_config

    _refuse_files(order.output, force=order.force)
    _parse(order.rules, "--rules", read_config(order.config, order.changes).market)


@check.register
def _(order: orders.ReproduceOrder) -> None:
    from policies.config.run import read_config
    from policies.storage.run_folder import refuse_no_place

    _refuse_files(order.json)
    refuse_no_place(order.runs)
    read_config(order.config or order.what, order.changes)


@check.register
def _(order: orders.TidySalesOrder) -> None:
    _refuse_files(order.output, force=order.force)
    for path in order.raw if order.query is None else ():
        if "://" in path:
            raise UserError(f"{path}: is a database's address: --query says what to ask it")
        if not Path(path).exists():
            raise UserError(f"{path}: no such file")


@check.register
def _(order: orders.SalesOrder) -> None:
    if not order.sales.exists():
        raise UserError(f"{order.sales}: no such file")


@check.register
def _(order: orders.BenchOrder) -> None:
    _refuse_files(order.json)


def _refuse_files(*paths: Path | None, force: bool | None = None) -> None:
    """Also for one that two options name: what the first wrote would be gone."""
    from policies.common.files import refuse_unwritable

    for number, path in enumerate(paths):
        refuse_unwritable(path, force)
        if path is not None and path in paths[:number] and not path.exists():
            raise UserError(f"{path}: two options name it, and each writes a file of its own")


def _parse(rules: object, where: str, market: MarketSpec | None = None) -> None:
    from policies.sellers.rules.compose import parse_rules

    parse_rules(rules, where, market)
