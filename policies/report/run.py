"""`bazaar report`: one self-contained HTML page about a run."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

from market.errors import UserError
from policies.common.console import silent
from policies.common.files import refuse_unwritable, write_file
from policies.common.progress import progress
from policies.common.torch_tools import one_torch_thread
from policies.config.command import ordered_by
from policies.config.orders import ReportOrder
from policies.report.analysis import found_sections
from policies.report.data import ReportedRun, play_together, read_run, replay
from policies.report.policies import minds_section, read_minds
from policies.report.sections import (
    episode_section,
    facts_section,
    headline_section,
    learning_section,
    market_words,
    spread_section,
    words_section,
)
from policies.sellers.rollout import rows_at_once
from policies.views.page import Page

DEFAULT = "report.html"


@ordered_by(ReportOrder)
def write_report(order: ReportOrder) -> Path:
    """Carry out `bazaar report`; returns the file, which is there as a whole or not at all.

    Raises:
        UserError: not a run's folder, no saved sellers, or a file that exists or cannot be written.

    Example::

        from policies import write_report

        print(write_report("runs/first", episodes=16))
    """
    one_torch_thread()
    console, begun = order.console or silent(), time.monotonic()
    out = choose_file(order)
    with progress(console, f"report on {order.run}") as tick:
        page = compose(order, lambda text: tick(text, 0))
        tick("writing", 0)
        write_file(out, page.text())
    size, spent = out.stat().st_size / 2**20, time.monotonic() - begun
    console.print(f"report: {out} ({size:.1f} MiB, {spent:.0f} s)", highlight=False, markup=False, soft_wrap=True)
    return out


def choose_file(order: ReportOrder) -> Path:
    """Where the page goes; raises :class:`UserError` now for a file that could not be written later."""
    if order.out is not None:
        refuse_unwritable(order.out)
        return order.out
    if not order.run.is_dir():
        raise UserError(f"{order.run}: is not a run's folder")
    path, others = order.run / DEFAULT, count(2)
    while path.exists():
        path = order.run / f"report-{next(others)}.html"
    refuse_unwritable(path)
    return path


def compose(order: ReportOrder, say: Callable[[str], None]) -> Page:
    """The page, section by section, headline first."""
    run = read_run(order.run, say)
    seed = run.seed if order.seed is None else order.seed
    episodes = rows_at_once(run.spec, order.episodes)
    page = Page(f"{run.folder.resolve().name}", _lead(run))
    spreads = replay(run, episodes, seed, say)
    say("playing them together")
    together = play_together(run, episodes, seed)
    minds = read_minds(run, seed, say)
    say("drawing")
    headline_section(page, run, spreads)
    spread_section(page, run, spreads)
    episode_section(page, run, together, seed)
    minds_section(page, run, minds)
    learning_section(page, run)
    found_sections(page, run)
    words_section(page, run)
    facts_section(page, run)
    return page


def _lead(run: ReportedRun) -> str:
    learners = ", ".join(player.label for player in run.learners)
    return f"Learned sellers {learners} in the market {run.spec.name}. {market_words(run.spec)}"
