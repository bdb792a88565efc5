"""`bazaar update`: refit the market, learn on in it, and take over only where that is better."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from market.calibration.newer.market import refitted
from market.calibration.newer.newest import NewestFit, newest_fit
from market.calibration.newer.periods import NewerSales, newer_sales
from market.calibration.newer.refit import Refit, refit
from market.demand.history import pinned
from market.spec.models import MarketSpec
from policies.common.files import read_json, refuse_unwritable, timestamp, write_json
from policies.common.progress import phases, progress
from policies.common.results import Records
from policies.common.torch_tools import one_torch_thread
from policies.config.command import ordered_by
from policies.config.learners import LearnerOptions
from policies.config.orders import TrainOrder, UpdateOrder
from policies.config.rivals import TrainedRival, digest
from policies.config.run import RunConfig
from policies.config.selfplay import IndependentOptions
from policies.evaluation.run_sellers import run_sellers
from policies.learners.build import seat_options
from policies.sellers.checkpoint import SavedSeller
from policies.storage import lineage
from policies.storage.run_folder import learning_seats, open_run, saved_sellers, seller_asked
from policies.storage.work_folder import locked
from policies.training.train import train_run
from policies.updating.data import NewData, new_data
from policies.updating.judging import EPISODES, REPLAYS, Judged, better, in_the_market, on_record, replayed
from policies.updating.view import changes_table, judged_table, newest_table

SHARE = 4  # a run's budget is so many times an update's
EVALUATIONS = 5  # on the way, one of the champion as it is among them
TRIED = {"epsilon": 0.2, "initial_sd": 0.15}  # at the start: who knows something tries less than who knows nothing
LOCK = "updates"
NOTHING = "Nothing to learn: the newest periods fit the market"


@dataclass(frozen=True)
class UpdateResult(Records):
    """What became of an update.

    ``folder``: of the seller in force now. ``judged``: champion and challenger, none where nothing was learned.
    """

    seller: str
    verdict: str
    folder: Path
    newest: NewestFit | None = None
    refit: Refit | None = None
    judged: tuple[Judged, ...] = ()

    def records(self) -> list[dict[str, Any]]:
        """A row a comparison; one where there was none."""
        about: dict[str, Any] = {"seller": self.seller, "verdict": self.verdict, "folder": str(self.folder)}
        about |= {"p_newest": self.newest.p} if self.newest else {}
        rows = [
            about | {"where": one.where, "champion": one.champion, "challenger": one.challenger} | one.gap.figures("difference")
            for one in self.judged
        ]  # fmt: skip
        return rows or [about]


@ordered_by(UpdateOrder)
def update(order: UpdateOrder) -> UpdateResult:
    """Carry out `bazaar update`: print what moved and who is better, and put the better seller into force.

    Raises :class:`UserError` for a run without that seller, data that cannot be read or hold too little that is new, and
    whatever calibrating refuses; the seller in force stays then.

    Example::

        from policies import record, update

        record("duopoly", output="since.csv", rules="random+base_stock(level=ample)", markets=1)
        found = update("runs/first", sales="since.csv", seller="left", budget=20_000)
        print(found.verdict, found.to_frame())
    """
    refuse_unwritable(order.json)
    one_torch_thread()
    seller = seller_asked(order.run, order.seller)
    with locked(order.run, LOCK, "updating this run"):
        found = _rolled_back(order, seller) if order.rollback else _updated(order, seller)
    write_json(order.json, found.records())
    return found


def _rolled_back(order: UpdateOrder, seller: str) -> UpdateResult:
    back = lineage.roll_back(order.run, seller, timestamp())
    order.console.print(f"{seller} is the one of {back} again.", highlight=False, markup=False)
    return UpdateResult(seller, "rolled back", back)


def _updated(order: UpdateOrder, seller: str) -> UpdateResult:
    base, name = lineage.in_force(order.run, seller), lineage.next_name(order.run, seller)
    spec = open_run(base).market
    data = new_data(order, spec, seller)
    newer = newer_sales(spec, data.sales, order.hold_out, data.phase)
    with phases(order.console, f"updating {seller}") as say:
        say("looking at the newest periods")
        newest = newest_fit(spec, newer)
        anew = refit(spec, newer, order.force, say)
    newest_table(spec, newer, newest).print(order.console)
    changes_table(spec, anew).print(order.console)
    about: dict[str, Any] = {"seller": seller, "parent": None if base == order.run else base.name, "at": timestamp()}
    about |= {"data": _told(data, newer), "found": _found(newest, anew)}
    if newest.holds and not anew.moved:
        order.console.print(NOTHING + (", and no parameter of it moved." if anew.changes else "."), highlight=False)
        lineage.add(order.run, lineage.Entry(**about, verdict="nothing to learn"))
        return UpdateResult(seller, "nothing to learn", base, newest, anew)
    judged = _learned_on(order, seller, base, name, anew, data)
    promoted, why = better(*judged)
    said = f"{'Promoted' if promoted else 'Kept as it was'}: {why}."
    judged_table(spec, seller, judged, said).print(order.console)
    about["found"] |= {"compared": [{"where": one.where} | one.gap.figures("difference") for one in judged], "why": why}
    verdict: lineage.Verdict = "promoted" if promoted else "kept"
    lineage.add(order.run, lineage.Entry(**about, name=name, verdict=verdict))
    order.console.print(_onward(order, seller, name, promoted), highlight=False, markup=False)
    return UpdateResult(seller, verdict, lineage.in_force(order.run, seller), newest, anew, judged)


def _onward(order: UpdateOrder, seller: str, name: str, promoted: bool) -> str:
    """How good the challenger is beside rules, what is in force, and how to take that back."""
    rows = read_json(order.run / lineage.UPDATES / name / "evaluation.json", list)
    own = next((row for row in rows if row.get("judged") and row.get("seat") == seller and row.get("best_fixed")), None)
    beside = (
        f"The challenger beside the best fixed rule, {own['best_fixed']}: {own['difference']:+.4g} a period.\n"
        if own
        else ""
    )
    back = f"bazaar update {shlex.quote(str(order.run))} --seller {shlex.quote(seller)} --rollback takes it back."
    return beside + (f"In force now: {name}; {back}" if promoted else f"In force as before: {seller} as it was.")


def _told(data: NewData, newer: NewerSales) -> dict[str, Any]:
    labels = data.sales.labels
    facts = {"source": data.source, "sha256": data.sales.sha256}
    facts |= {
        "first": labels[0],
        "last": labels[-1],
        "new_from": labels[newer.new],
        "held_out_from": labels[newer.held],
    }
    return facts


def _found(newest: NewestFit, anew: Refit) -> dict[str, Any]:
    changes = {
        one.name: {"before": one.before.value, "now": one.now.value, "se": one.now.error, "z": one.z} for one in anew.changes
    }  # fmt: skip
    return {"p_newest": newest.p, "changes": changes, "moved": [one.name for one in anew.moved]}


# ------------------------------------------------------------------------------------------------ learning on


def _learned_on(
    order: UpdateOrder, seller: str, base: Path, name: str, anew: Refit, data: NewData
) -> tuple[Judged, Judged]:
    """Train the challenger in the market as it is now, and compare it with the champion there and on record."""
    champion = saved_sellers(base)[seller]
    file, held, periods = (order.run / lineage.UPDATES / f"{name}.csv").resolve(), anew.newer.held, anew.newer.periods
    data.write(file)
    before = open_run(base).market
    market, on_tape = refitted(before, anew), order.rivals == "recorded" or before.tape is not None
    among = pinned(replayed(market, file, held)) if on_tape else market
    config = learning_on(order, champion, base, among)
    asked = TrainOrder(
        config=base / "config.yaml", seed=order.seed, device=order.device, name=name, runs=order.run / lineage.UPDATES,
        command=order.command,
    )  # fmt: skip
    folder = train_run(asked, order.console, config=config)
    run, challenger = run_sellers(folder), saved_sellers(folder)[seller]
    with progress(order.console, "comparing with the seller in force", 2 * (EPISODES + REPLAYS)) as tick:
        found = in_the_market(champion, challenger, run, order.seed, tick)
        return found, on_record(champion, challenger, run, file, held, periods, order.seed, tick)


def learning_on(order: UpdateOrder, champion: SavedSeller, base: Path, market: MarketSpec) -> RunConfig:
    """The run of a challenger: it begins as the champion, and nobody else learns.

    The others are the run's sellers that are in force, its rules, or on record.
    """
    config, own = open_run(base), champion.seller
    entry = config.player(champion.seat)
    options, given, _ = seat_options(config, champion.seat, champion.learner, entry)
    mine = given | _careful(options) | {"learner": champion.learner, "begin_from": str(champion.path.resolve())}
    rivals = {
        name: "history" if order.rivals == "recorded" else _as_it_is(order.run, config, seat)
        for seat, name in enumerate(market.names)
        if name != own
    }
    budget = order.budget or max(open_run(order.run).training.budget // SHARE, 1)
    training = config.training.model_copy(update={"budget": budget, "evaluations": EVALUATIONS})
    changed = {
        "market": market,
        "seats": rivals | {own: mine},
        "training": training,
        "selfplay": IndependentOptions(),
        "tune": {},
    }
    return config.model_copy(update=changed)


def _as_it_is(run: Path, config: RunConfig, seat: int) -> Any:
    """Who sits in a seat beside the one that learns on: a learner of the run as the one of it that is in force, others as given."""
    name, given = config.market.names[seat], open_run(run)
    if seat not in learning_seats(given):
        return config.player(seat)
    found = TrainedRival(run=str(lineage.in_force(run, name).resolve()), seller=name)
    return found.model_copy(update={"sha256": digest(found.file)}).model_dump()


def _careful(options: LearnerOptions) -> dict[str, Any]:
    """How much the learner tries out, less than a beginner does."""
    return {
        key: max(min(getattr(options, key), most), getattr(options, f"{key}_final", 0.0))
        for key, most in TRIED.items()
        if hasattr(options, key)
    }
