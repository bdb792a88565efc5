"""`bazaar report`: one self-contained HTML page about a run."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

from market.errors import UserError
from policies.common.console import say
from policies.common.files import refuse_unwritable, write_file
from policies.common.progress import progress
from policies.common.torch_tools import one_torch_thread
from policies.config.command import ordered_by
from policies.config.orders import ReportOrder
from policies.report import sections
from policies.report.analysis import MOST_SHOWN, deviations, exploits, tournaments
from policies.report.charts import LONGEST, episode_chart, learning_chart, spread_chart
from policies.report.data import play_together, read_run, replay
from policies.report.policies import importance_chart, learned_policies, map_chart
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
    begun = time.monotonic()
    out = choose_file(order)
    with progress(order.console, f"report on {order.run}") as tick:
        page = compose(order, lambda text: tick(text, 0))
        tick("writing", 0)
        write_file(out, page.text())
    size, spent = out.stat().st_size / 2**20, time.monotonic() - begun
    say(order.console, f"report: {out} ({size:.1f} MiB, {spent:.0f} s)")
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
    """The page of a run, with everything that its text refers to."""
    run = read_run(order.run, say)
    spec, seed = run.spec, run.seed if order.seed is None else order.seed
    episodes = rows_at_once(spec, order.episodes)
    spreads = replay(run, episodes, seed, say)
    say("playing them together")
    together = play_together(run, episodes, seed)
    policies = learned_policies(run, seed, say)
    say("drawing")
    played = list(tournaments(run.folder))
    return Page(
        "report.html",
        run=run,
        spec=spec,
        market=sections.about_market(spec),
        headlines=sections.headlines(run, spreads),
        comparisons=sections.comparisons(run),
        episodes=sections.evaluated(run),
        spreads=spreads,
        spread_figure=spread_chart(spec, spreads),
        together=together,
        together_table=sections.together_table(run, together),
        episode_figure=episode_chart(spec, run.players, together.episode, sections.promotions(spec, seed)),
        episode_shown=min(LONGEST, len(together.episode)),
        policies=policies,
        map_chart=map_chart,
        importance_chart=importance_chart,
        learning=learning_chart(run),
        tournaments=played[:MOST_SHOWN],
        older_tournaments=len(played[MOST_SHOWN:]),
        exploits=exploits(run),
        deviations=deviations(run),
        measures=sections.measures(spec),
        seller_table=sections.seller_table(spec),
    )
