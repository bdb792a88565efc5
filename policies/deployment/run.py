"""`bazaar decide`: what a run's seller posts and orders now, from a state of things as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from market.errors import UserError
from market.spec.loading import parse_model, read_yaml, suggestion
from market.spec.models import MarketSpec
from policies.common.files import refuse_unwritable, write_csv, write_file, write_json
from policies.common.progress import progress
from policies.common.results import Records
from policies.common.torch_tools import one_torch_thread
from policies.config.command import ordered_by
from policies.config.orders import DecideOrder, ExportOrder
from policies.config.rails import Rails
from policies.deployment.decider import Decided, Decider
from policies.deployment.outlook import Outlook, outlook
from policies.deployment.states import read_states
from policies.deployment.template import template
from policies.deployment.view import many_table, one_table, outlook_table
from policies.evaluation.run_sellers import run_sellers
from policies.explain.decision_tree import sentence_for
from policies.sellers.rules.base import place
from policies.storage.lineage import in_force
from policies.storage.run_folder import open_run, seller_asked

LOOKED_AHEAD = 4  # decisions at most that are simulated onward


@dataclass(frozen=True)
class DecideResult(Records):
    """Decisions, and what those that were looked at further are expected to earn.

    ``version``: the name of the folder of the seller that decided, the run's or an update's.
    """

    seller: str
    decided: Decided
    outlooks: tuple[Outlook, ...] = ()
    version: str = ""

    def records(self) -> list[dict[str, Any]]:
        """A row a decision."""
        return [self._row(k) for k in range(len(self.decided.labels))]

    def _row(self, k: int) -> dict[str, Any]:
        answer = self.decided.answer(k)
        row: dict[str, Any] = {"id": answer["id"], "seller": self.seller, "version": self.version, **answer}
        row |= {name: "; ".join(answer[name]) for name in ("bound", "outside", "assumed")}
        if k < len(self.outlooks):
            found = self.outlooks[k]
            row["periods"] = found.periods
            for name, profit in found.profit.items():
                row |= profit.figures(f"profit of {name}")
        return row


@ordered_by(DecideOrder)
def decide(order: DecideOrder) -> DecideResult | None:
    """Carry out `bazaar decide`: print the decisions, write the file asked for; with ``template`` that file alone, and None.

    Raises :class:`UserError` for a run without that seller, rails that cannot be, and states with a field that is wrong or
    missing.

    Example::

        from policies import decide

        decide("runs/first", seller="left", template="state.yaml")
        found = decide("runs/first", "state.yaml", seller="left", periods=5, episodes=16)
        print(found.to_frame()[["price", "order"]])
    """
    one_torch_thread()
    refuse_unwritable(order.output)
    refuse_unwritable(order.template)
    decider = decider_of(order)
    run, seat = decider.run, decider.seat
    if order.template is not None:
        write_file(order.template, template(decider, order.template).encode())
        order.console.print(f"Written: {order.template}", highlight=False)
        return None
    if order.state is None:
        raise UserError("the following arguments are required: STATE (--template FILE writes one to fill in)")
    given = read_states(order.state, run.spec, seat, decider.fields, decider.remembers)
    with place(str(order.state)):
        decided = decider.decide(given)
    count = len(decided.labels)
    ahead = range(count if count <= LOOKED_AHEAD and order.episodes else 0)
    if count > LOOKED_AHEAD:
        many_table(decider, decided).print(order.console)
    outlooks = []
    for k in range(count) if count <= LOOKED_AHEAD else ():
        one_table(decider, decided, k).print(order.console)
        if order.explain:
            told = sentence_for(decider.seller, decider.rollout, seat, decided.states.at(slice(k, k + 1)))
            order.console.print(f"In words: {told.when}, {told.what} ({told.covers} of what was met)", highlight=False)
        if k in ahead:
            with progress(order.console, "playing on from here", 3 * order.episodes) as tick:
                outlooks.append(outlook(decider, decided, k, order.periods, order.episodes, order.seed, tick))
            outlook_table(decider, outlooks[-1]).print(order.console)
    found = DecideResult(run.spec.names[seat], decided, tuple(outlooks), run.folder.resolve().name)
    if order.output is not None:
        (write_csv if order.output.suffix.lower() == ".csv" else write_json)(order.output, found.records())
        order.console.print(f"Written: {order.output}", highlight=False)
    return found


def decider_of(order: DecideOrder | ExportOrder) -> Decider:
    """The seller that is asked for, the one of it that is in force, within its rails."""
    return decider_in_force(order.run, seller_asked(order.run, order.seller), order.rails, order.checkpoint)


def decider_in_force(folder: Path, seller: str, rails: Path | None, checkpoint: str = "best") -> Decider:
    """A run's seller, or the later one that `bazaar update` put in its place, within the rails of a file or of the run."""
    run = run_sellers(in_force(folder, seller), checkpoint)
    seat = run.spec.names.index(seller)
    within = _rails(rails, open_run(folder).rails.get(seller, Rails()), run.spec, seller)
    with place(str(rails or folder / "config.yaml")):
        return Decider(run, seat, within)


def _rails(path: Path | None, usual: Rails, spec: MarketSpec, name: str) -> Rails:
    """Of a file, or the run's own."""
    if path is None:
        return usual
    data: Mapping[str, Any] = read_yaml(path)
    data = data.get("rails", data)
    if isinstance(data, dict) and (by_seller := [key for key, one in data.items() if isinstance(one, dict)]):
        for key in by_seller:
            if key not in spec.names:
                raise UserError(f"{path}: {key}: no seller has this name{suggestion(key, spec.names)}")
        data = data.get(name, {})
    return parse_model(Rails, data, str(path))
