"""`bazaar tournament`: every policy in every seat against every line-up.

Its folder says what is played in it, so that a second call goes on with it or is refused; every finished cell is on disk
before it is reported.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from market.errors import UserError
from market.spec.models import MarketSpec
from market.state import Floats
from policies.common.console import say_onward
from policies.common.files import refuse_unwritable, write_csv, write_json
from policies.common.parallel import open_engine
from policies.common.progress import CellsBar, progress
from policies.common.results import WrittenRecords
from policies.config.command import ordered_by
from policies.config.orders import TournamentOrder
from policies.config.run import RunConfig
from policies.evaluation.line_ups import LineUps
from policies.storage.work_folder import WorkFolder
from policies.studies.tournament.entries import Policy, gather
from policies.studies.tournament.play import CellSetup, Learned, play_all, read_cell, write_cell
from policies.studies.tournament.results import Played, cell_rows, home_line_ups, results
from policies.studies.tournament.schedule import LineUp, Schedule, plan
from policies.studies.tournament.view import tables

FORMAT = 1
ABOUT = "tournament.json"


def what_is_played(
    order: TournamentOrder, config: RunConfig, policies: Sequence[Policy], line_ups: Schedule
) -> dict[str, Any]:
    """Everything that decides what the cells hold, as plain data."""
    names, settings = config.market.names, config.evaluation
    return {
        "format": FORMAT,
        "market": config.market.dump(),
        "evaluation": {"warm_up": settings.warm_up, "salvage": settings.salvage},
        "episodes": order.episodes,
        "seed": order.seed,
        "most_cells": order.most_cells if line_ups.sampled else None,
        "policies": [
            {"label": policy.label, "digest": policy.digest, "seats": [names[s] for s in policy.seats]}
            for policy in policies
        ],
    }


def find_folder(order: TournamentOrder, inputs: dict[str, Any]) -> WorkFolder:
    """The tournament's folder, which may hold part of it already; raises :class:`UserError` when it holds another."""
    market = re.sub(r"[^\w.-]+", "_", inputs["market"]["name"])[:40]
    stem = f"tournament-{market}"
    return WorkFolder.find(order.runs, order.name, stem, about=ABOUT, what="tournament", asked=inputs, listed=_listed)


def _listed(inputs: dict[str, Any]) -> dict[str, Any]:
    """Policies under their labels, so that a difference names one policy and not the whole list; order counts.

    A market has the keys of this version, with their defaults where an earlier one wrote none.
    """
    try:
        named = {one["label"]: one for one in inputs["policies"]}
        market = MarketSpec.parse(inputs["market"]).dump()
        return inputs | {"policies": named, "order": ", ".join(named), "market": market}
    except (KeyError, TypeError, UserError):
        return inputs


def begin(order: TournamentOrder, config: RunConfig, policies: Sequence[Policy], work: WorkFolder) -> None:
    """Make the folder, all at once: copies of the learned policies, so that runs may go on, and what is played.

    ``levels`` are of every policy of rules its text by seat, levels searched where they are ``best``; None of learned ones.
    """
    line_ups, names = LineUps(config, order.seed), config.market.names
    with progress(order.console, "setting up the tournament") as tick:
        levels = [
            policy.rules and {names[seat]: line_ups.fixed(policy.rules, seat, tick).label for seat in policy.seats}
            for policy in policies
        ]

    def fill(aside: Path) -> None:
        (aside / "cells").mkdir()
        (aside / "sellers").mkdir()
        for number, (policy, said) in enumerate(zip(policies, work.asked["policies"], strict=True), 1):
            if policy.saved is not None:
                content = policy.content
                if hashlib.sha256(content).hexdigest() != said["digest"]:
                    raise UserError(f"{policy.run}: changed while it was read; call the tournament again")
                (aside / "sellers" / f"{number}{policy.suffix}").write_bytes(content)

    work.begin({"levels": levels}, fill)


def set_up(order: TournamentOrder, config: RunConfig, policies: Sequence[Policy], work: WorkFolder) -> CellSetup:
    settings, names = config.evaluation, config.market.names
    levels, folder = work.facts("levels")["levels"], work.path
    entries = tuple(
        Learned.read(folder / "sellers" / f"{number}{policy.suffix}")
        if policy.saved is not None
        else {seat: levels[number - 1][names[seat]] for seat in policy.seats}
        for number, policy in enumerate(policies, 1)
    )
    return CellSetup(config.market, entries, order.episodes, order.seed, settings.warm_up, settings.salvage)


RESULTS, PAYOFFS = "results.json", "payoffs.csv"


class TournamentResult(WrittenRecords):
    """A tournament that was played, with a row a line-up: who sat where, and what each seat earned."""

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Payoffs, ranking, cross-play and equilibria: see :func:`tournament_summary`."""
        return tournament_summary(self.folder)


@ordered_by(TournamentOrder)
def tournament(order: TournamentOrder) -> TournamentResult:
    """Carry out `bazaar tournament`. What was played before under the same name is kept.

    Raises:
        UserError: entries that cannot meet (see :func:`policies.studies.tournament.entries.gather`), a folder with another
            tournament, or a file that cannot be written.
        KeyboardInterrupt: on Ctrl-C, with what is finished and how to go on.

    Example::

        from policies import tournament

        played = tournament(["nash+base_stock", "cost_plus+base_stock"], config="duopoly", episodes=16, processes=1)
        print(played.to_frame(), played.summary["ranking"][0]["policy"])
    """
    refuse_unwritable(order.json)
    config, policies = gather(order.entries, order.config, order.checkpoint)
    line_ups = _plan(order, config, policies)
    work = find_folder(order, what_is_played(order, config, policies, line_ups))
    with work.going_on(lambda: begin(order, config, policies, work), lambda: _interrupted(work.path, line_ups)):
        _play(set_up(order, config, policies, work), work.path, line_ups, order)
        cells = ((line_up, read_cell(work.path, line_up, order.episodes)) for line_up in line_ups.cells)
        profits = {line_up: profit for line_up, profit in cells if profit is not None}
        if missing := len(line_ups.cells) - len(profits):
            raise UserError(f"{work.path}: {missing} cells vanished while it was played; call it again")
        _report(
            order, config, Played(config.market, policies, line_ups, profits, order.episodes, order.seed), work.path
        )
    return TournamentResult(work.path / PAYOFFS)


def _report(order: TournamentOrder, config: RunConfig, played: Played, folder: Path) -> None:
    market, settings = config.market, config.evaluation
    facts = {"market": market.name, "period": market.period, "horizon": market.horizon, "stocked": market.stocked}
    facts |= {"warm_up": settings.warm_up, "salvage": settings.salvage}
    facts |= {"episodes": order.episodes, "seed": order.seed} | results(played)
    write_json(folder / RESULTS, facts)
    write_csv(folder / PAYOFFS, cell_rows(played))
    write_json(order.json, facts)
    for table in tables(facts, order.console.width):
        table.print(order.console)
    files = f"figures: {folder / RESULTS}", f"every line-up: {folder / PAYOFFS}"
    say_onward(order.console, f"tournament: {folder}", *files)


def tournament_summary(folder: Path) -> dict[str, Any]:
    """The figures of a finished tournament, as ``results.json`` holds them.

    Keys: ``market``, ``period``, ``horizon``, ``warm_up``, ``salvage``, ``stocked``, ``episodes``, ``seed``,
    ``seats`` (names), ``sampled`` (whether line-ups were), ``cells`` (their number). Profits are money per period,
    half-widths of 95 % intervals over episodes; what is not known is None.

    - ``policies``: ``label``, ``kind`` (rules or learned), ``seats``; of learned ones ``run``, ``seller``,
      ``learner``, ``home`` (seat), ``trained``.
    - ``payoffs[seat]``: ``policies`` (rows), ``rivals`` (columns), ``mean`` and ``half_width`` (rows x columns): what
      the row earns in the seat where the column is among its rivals; with two sellers that is the payoff matrix.
    - ``ranking``, best first: ``policy``, ``rank`` and ``rating`` with their half-widths, over all its seats, and
      ``seats[seat]``: ``profit``, ``half_width``, ``rank``, ``rating``.
    - ``cross_play``, of learned policies whose partners take part: ``policy``, ``seat``, ``others`` (who they are),
      with half-widths ``with_partners``, ``with_others``, ``change``, ``candidates_change`` (of the seat's other
      candidates in the same places), ``own_change`` (change beyond that); ``less_with_others`` and
      ``only_with_partners`` (see :func:`policies.studies.tournament.results.cross_play`).
    - ``equilibria``: ``kind`` (nash, coarse_correlated or None), ``why_none``, ``complete`` (all are listed),
      ``degenerate``, ``found``: ``payoffs[seat]``, ``regret`` (the largest), ``regret_high`` (95 % of bootstrap
      resamples give these probabilities at most that regret), ``support_share`` (of resamples in which the same
      candidates make an equilibrium), and ``strategies[seat][policy]`` or ``line_ups`` (``line_up``, ``probability``).

    Raises:
        UserError: the folder is not a tournament's, or it is not finished.
    """
    if not (folder / ABOUT).is_file():
        raise UserError(f"{folder}: is not a tournament (it has no {ABOUT})")
    if not (folder / RESULTS).is_file():
        raise UserError(f"{folder}: is not finished; bazaar tournament with the same entries goes on with it")
    try:
        facts: dict[str, Any] = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    except ValueError:
        raise UserError(f"{folder / RESULTS}: is damaged; call bazaar tournament again, its cells are kept") from None
    return facts


def _plan(order: TournamentOrder, config: RunConfig, policies: Sequence[Policy]) -> Schedule:
    seats = range(len(config.market.sellers))
    candidates = [[k for k, policy in enumerate(policies) if seat in policy.seats] for seat in seats]
    return plan(candidates, order.most_cells, order.seed, home_line_ups(policies, candidates))


# ------------------------------------------------------------------------------------------------ playing and writing


def _play(setup: CellSetup, folder: Path, line_ups: Schedule, order: TournamentOrder) -> None:
    todo = [one for one in line_ups.cells if read_cell(folder, one, setup.episodes) is None]
    whole = len(line_ups.cells)
    if len(todo) < whole:
        left = f"going on with {len(todo)}" if todo else "nothing left to play"
        order.console.print(f"{whole - len(todo)} of {whole} cells are there already: {left}", highlight=False)
    if not todo:
        return
    periods = setup.episodes * setup.spec.horizon * len(setup.spec.sellers)
    with (
        open_engine(order.processes, len(todo), order.ray) as engine,
        CellsBar(order.console, whole, whole - len(todo), periods) as bar,
    ):

        def keep(line_up: LineUp, profit: Floats) -> None:
            write_cell(folder, line_up, profit)
            bar.finished(line_up)

        play_all(setup, todo, engine, keep)


def _interrupted(folder: Path, line_ups: Schedule) -> str:
    if not folder.exists():
        return "interrupted: nothing was played yet"
    there = len(list((folder / "cells").glob("*.npz")))
    return (
        f"interrupted: {there} of {len(line_ups.cells)} cells are in {shlex.quote(str(folder))}; the same command goes "
        "on with the rest"
    )
