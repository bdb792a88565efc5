"""`bazaar shadow`: the policy that was logged in shadow beside the rule that was answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from market.errors import UserError
from market.state import Floats
from policies.common.files import refuse_unwritable, write_csv, write_json
from policies.common.progress import Tick, progress
from policies.common.results import Records
from policies.common.torch_tools import one_torch_thread
from policies.config.command import ordered_by
from policies.config.orders import ShadowOrder
from policies.deployment.outlook import outlook
from policies.deployment.run import decider_in_force
from policies.evaluation.statistics import Interval, mean_interval
from policies.serving.desk import Desk
from policies.storage.run_folder import open_run
from policies.views.table import Cell, Column, Note, Row, Table

SAME_PRICE = 0.01  # as a share of the rule's: prices that customers hardly tell apart
STATES = 64  # that are played on


@dataclass(frozen=True)
class Shadow:
    """One seller's decisions in shadow.

    ``price`` and ``order`` (2, D): of the rule that was answered and of the policy. ``advantage``: what the policy is
    expected to earn more in a period of the run's market from these states on, money; None where nothing was played.
    """

    seller: str
    run: str
    rule: str
    period: str
    price: Floats
    order: Floats
    fallbacks: int
    advantage: Interval | None
    played: tuple[int, int]

    @property
    def alike(self) -> tuple[float, float]:
        """Shares of decisions with the same price, to a hundredth, and with the same order."""
        rule, policy = self.price
        near = np.abs(policy - rule) <= SAME_PRICE * rule
        return float(near.mean()), float((self.order[0] == self.order[1]).mean())

    def gap(self, what: str) -> Interval:
        """The policy's price or order less the rule's, mean over decisions."""
        rule, policy = getattr(self, what)
        return mean_interval(policy - rule)


@dataclass(frozen=True)
class ShadowResult(Records):
    """By seller."""

    sellers: tuple[Shadow, ...]

    def records(self) -> list[dict[str, Any]]:
        """A row a seller."""
        return [_row(one) for one in self.sellers]


def _row(one: Shadow) -> dict[str, Any]:
    prices, orders = one.alike
    row: dict[str, Any] = {"seller": one.seller, "run": one.run, "rule": one.rule, "decisions": one.price.shape[1]}
    row |= {"same_price": prices, "same_order": orders, "fallbacks": one.fallbacks}
    row |= one.gap("price").figures("price_gap") | one.gap("order").figures("order_gap")
    if one.advantage is not None:
        row |= one.advantage.figures("advantage") | {"states": one.played[0], "periods": one.played[1]}
    return row


@ordered_by(ShadowOrder)
def shadow(order: ShadowOrder) -> ShadowResult:
    """Carry out `bazaar shadow`: print how policy and rule differ, and what the difference is worth.

    Raises :class:`UserError` for a log without decisions in shadow, and for a run that is no longer where it was.

    Example::

        from policies import shadow

        found = shadow("runs/first/decisions.db", episodes=8)
        print(found.to_frame()[["seller", "same_price", "price_gap", "advantage"]])
    """
    try:
        from policies.serving.log import DecisionLog, url_of
    except ImportError as error:
        raise UserError(f"{error.name} is missing: pip install 'bazaar-market[serve]'") from None
    refuse_unwritable(order.output)
    one_torch_thread()
    log = DecisionLog(url_of(order.db), new=False)
    by_seller: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for entry in log.all(order.seller):
        if "shadow" in entry:
            by_seller.setdefault((entry["seller"], entry["run"], rule_of(entry)), []).append(entry)
    log.close()
    if not by_seller:
        of = f" of {order.seller}" if order.seller else ""
        raise UserError(f"{order.db}: holds no decision{of} in shadow: bazaar serve RUN --mode shadow logs them")
    found = []
    for (seller, run, rule), entries in by_seller.items():
        count = min(STATES, len(entries)) if order.episodes else 0
        with progress(order.console, f"playing on as {seller}", max(count, 1)) as tick:
            found.append(_of(order, seller, order.run or Path(run), rule, entries, count, tick))
        _table(found[-1]).print(order.console)
    result = ShadowResult(tuple(found))
    if order.output is not None:
        (write_csv if order.output.suffix.lower() == ".csv" else write_json)(order.output, result.records())
        order.console.print(f"Written: {order.output}", highlight=False)
    return result


def _of(
    order: ShadowOrder,
    seller: str,
    folder: Path,
    rule: str,
    entries: Sequence[Mapping[str, Any]],
    count: int,
    tick: Tick,
) -> Shadow:
    config = open_run(folder)
    if seller not in config.market.names:
        raise UserError(f"{folder}: has no seller {seller}")
    desk = Desk(decider_in_force(folder, seller, order.rails), "shadow", folder)
    desk.decider.rule = desk.decider.fixed(rule, f"the rule of {seller} in {order.db}")
    gaps = []
    for k in np.linspace(0, len(entries) - 1, count).astype(int).tolist():
        decided = desk.decided(entries[k]["state"])
        worth = outlook(desk.decider, decided, 0, order.periods, order.episodes, order.seed + k)
        gaps.append(worth.gaps[desk.decider.rule.label].value)
        tick("", 1)
    price, amount = (
        np.array([[one[name] for one in entries], [one["shadow"][name] for one in entries]])
        for name in ("price", "order")
    )
    failed = sum(one["shadow"]["by"] != "policy" for one in entries)
    advantage = mean_interval(np.array(gaps)) if gaps else None
    played = (count, order.periods)
    return Shadow(seller, folder.name, rule, config.market.period, price, amount, failed, advantage, played)


def rule_of(entry: Mapping[str, Any]) -> str:
    """The rule that answered."""
    return str(entry["by"]).removeprefix("rule (").rpartition(")")[0]


def _table(one: Shadow) -> Table:
    columns = [Column(""), Column("price", "{:.4g}", important=True), Column("order", "{:,.1f}", important=True)]
    price, order = one.gap("price"), one.gap("order")
    rows = [
        Row(["the policy", float(one.price[1].mean()), float(one.order[1].mean())], "judged"),
        Row([one.rule, float(one.price[0].mean()), float(one.order[0].mean())]),
        Row(
            [
                "difference",
                Cell(price.value, price.half, form="{:+.4g}"),
                Cell(order.value, order.half, form="{:+,.1f}"),
            ]
        ),
    ]
    same_price, same_order = one.alike
    notes = [
        Note(f"The same price, to a hundredth, in {same_price:.0%} of decisions; the same order in {same_order:.0%}.")
    ]
    if one.fallbacks:
        notes.append(Note(f"In {one.fallbacks:,} of them the policy could not decide and the rule stood in.", "fails"))
    notes.append(_worth(one))
    title = f"{one.seller} of {one.run}: {one.price.shape[1]:,} decisions in shadow, answered by {one.rule}"
    return Table(title, columns, rows, notes, least=3)


def _worth(one: Shadow) -> Note:
    if one.advantage is None:
        return Note("Not played on: --episodes says how often.", "note")
    gap, (states, periods) = one.advantage, one.played
    verdict = {1: "earns more than the rule", -1: "earns less than the rule", 0: "cannot be told from the rule"}[
        gap.sign
    ]
    half = f" ± {gap.half:.2g}" if np.isfinite(gap.half) else ""
    return Note(
        f"Played on for {periods} {one.period}s from {states} of these states in the run's market, on the same customers, the "
        f"policy {verdict}: {gap.value:+.4g}{half} a {one.period}."
    )
