"""`bazaar tournament`: every policy in every seat against every line-up, in a folder that can be gone on with."""

from __future__ import annotations

import csv
import json
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from market.errors import Refusal
from policies.common.interrupt import careful
from policies.common.parallel.engines import open_engine
from policies.common.tournament_bar import CellsBar
from policies.config.run import RunConfig
from policies.evaluation.evaluate import refuse_unwritable, terminal
from policies.storage.run_folder import write_json
from policies.studies.tournament.entries import Policy, gather
from policies.studies.tournament.play import Setup, read_cell
from policies.studies.tournament.results import cell_rows, results
from policies.studies.tournament.schedule import Plan, plan
from policies.studies.tournament.tournament_cross_play import home_line_ups
from policies.studies.tournament.tournament_folder import (
    ABOUT,
    TournamentOrder,
    begin,
    find_folder,
    found_levels,
    set_up,
    what_is_played,
)
from policies.studies.tournament.tournament_played import Played
from policies.studies.tournament.tournament_workers import play_all
from policies.studies.tournament.view import print_tournament

RESULTS, PAYOFFS = "results.json", "payoffs.csv"


def run_tournament(order: TournamentOrder, console: Console | None = None) -> Path:
    """Carry out `bazaar tournament`; returns its folder. What was played before under the same name is kept.

    Raises:
        Refusal: entries that cannot meet (see :func:`policies.studies.tournament.entries.gather`), a folder with another
            tournament, or a file that cannot be written.
        KeyboardInterrupt: on Ctrl-C, with what is finished and how to go on.
    """
    console = console or terminal()
    refuse_unwritable(order.json)
    config, policies = gather(order.entries, order.config, order.checkpoint)
    line_ups = _plan(order, config, policies)
    inputs = what_is_played(order, config, policies, line_ups)
    folder = find_folder(order, inputs)
    try:
        with careful():
            return _carry_out(order, config, policies, line_ups, inputs, folder, console)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_interrupted(folder, line_ups)) from None


def _carry_out(
    order: TournamentOrder,
    config: RunConfig,
    policies: Sequence[Policy],
    line_ups: Plan,
    inputs: dict[str, Any],
    folder: Path,
    console: Console,
) -> Path:
    if not folder.exists():
        begin(folder, inputs, found_levels(config, policies, order.seed, console), policies)
    setup = set_up(order, config, policies, folder)
    _play(setup, folder, line_ups, order, console)
    profits = {line_up: read_cell(folder, line_up, order.episodes) for line_up in line_ups.cells}
    missing = [line_up for line_up, profit in profits.items() if profit is None]
    if missing:
        raise Refusal(f"{folder}: {len(missing)} cells vanished while it was played; call it again")
    known = {line_up: profit for line_up, profit in profits.items() if profit is not None}
    played = Played(config.market, policies, line_ups, known, order.episodes, order.seed)
    facts = _header(order, config) | results(played)
    _write(folder, order.json, facts, played)
    print_tournament(facts, console)
    again = f"tournament: {folder}   figures: {folder / RESULTS}   every line-up: {folder / PAYOFFS}"
    console.print(again, highlight=False, markup=False, soft_wrap=True)
    return folder


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
      ``only_with_partners`` (see :func:`policies.studies.tournament.tournament_cross_play.cross_play`).
    - ``equilibria``: ``kind`` (nash, coarse_correlated or None), ``why_none``, ``complete`` (all are listed),
      ``degenerate``, ``found``: ``payoffs[seat]``, ``regret`` (the largest), ``regret_high`` (95 % of bootstrap
      resamples give these probabilities at most that regret), ``support_share`` (of resamples in which the same
      candidates make an equilibrium), and ``strategies[seat][policy]`` or ``line_ups`` (``line_up``, ``probability``).

    Raises:
        Refusal: the folder is not a tournament's, or it is not finished.
    """
    if not (folder / ABOUT).is_file():
        raise Refusal(f"{folder}: is not a tournament (it has no {ABOUT})")
    if not (folder / RESULTS).is_file():
        raise Refusal(f"{folder}: is not finished; bazaar tournament with the same entries goes on with it")
    try:
        facts: dict[str, Any] = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    except ValueError:
        raise Refusal(f"{folder / RESULTS}: is damaged; call bazaar tournament again, its cells are kept") from None
    return facts


def _plan(order: TournamentOrder, config: RunConfig, policies: Sequence[Policy]) -> Plan:
    seats = range(len(config.market.sellers))
    candidates = [[k for k, policy in enumerate(policies) if seat in policy.seats] for seat in seats]
    return plan(candidates, order.most_cells, order.seed, home_line_ups(policies, candidates))


# ------------------------------------------------------------------------------------------------ playing and writing


def _play(setup: Setup, folder: Path, line_ups: Plan, order: TournamentOrder, console: Console) -> None:
    todo = [one for one in line_ups.cells if read_cell(folder, one, setup.episodes) is None]
    whole = len(line_ups.cells)
    if len(todo) < whole:
        left = f"going on with {len(todo)}" if todo else "nothing left to play"
        console.print(f"{whole - len(todo)} of {whole} cells are there already: {left}", highlight=False)
    if not todo:
        return
    periods = setup.episodes * setup.spec.horizon * len(setup.spec.sellers)
    with (
        open_engine(order.processes, len(todo), order.ray) as engine,
        CellsBar(console, whole, whole - len(todo), periods) as bar,
    ):
        play_all(setup, folder, todo, engine, bar.finished)


def _interrupted(folder: Path, line_ups: Plan) -> str:
    if not folder.exists():
        return "interrupted: nothing was played yet"
    there = len(list((folder / "cells").glob("*.npz")))
    return (
        f"interrupted: {there} of {len(line_ups.cells)} cells are in {shlex.quote(str(folder))}; the same command goes "
        "on with the rest"
    )


def _header(order: TournamentOrder, config: RunConfig) -> dict[str, Any]:
    market, settings = config.market, config.evaluation
    return {
        "market": market.name,
        "period": market.period,
        "horizon": market.horizon,
        "stocked": market.stocked,
        "warm_up": settings.warm_up,
        "salvage": settings.salvage,
        "episodes": order.episodes,
        "seed": order.seed,
    }


def _write(folder: Path, copy: Path | None, facts: dict[str, Any], played: Played) -> None:
    aside = folder / f"{RESULTS}.part"
    write_json(aside, facts)
    os.replace(aside, folder / RESULTS)
    rows = list(cell_rows(played))
    aside = folder / f"{PAYOFFS}.part"
    with open(aside, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    os.replace(aside, folder / PAYOFFS)
    if copy:
        write_json(copy, facts)
