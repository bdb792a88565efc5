"""A run's seller, asked what to do now: its policy, the rails around it, and the rule that decides where it cannot.

D decisions, K fields, N sellers, R rows of states (earlier ones among them).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from market.errors import UserError
from market.simulation.batch import MarketBatch
from market.simulation.observation import usual_demand
from market.spec.models import MarketSpec
from market.state import Floats, Ints
from policies.config.rails import Rails
from policies.deployment.fields import PERIOD, Field, Met, cycle_of, fields_of
from policies.deployment.rails import Railed, within_order, within_price
from policies.deployment.states import Given
from policies.evaluation.run_sellers import RunSellers
from policies.explain.states import Rollout, RolloutStates, greedy_rollout, to_look_at, views
from policies.sellers.protocol import Memory, Seller
from policies.sellers.rules.compose import FixedSeller, Rules, parse_rules

EPISODES = 64  # of greedy play that tell what the seller met
POLICY, RULE = "policy", "rule"


@dataclass(frozen=True)
class Decided:
    """What to do in each of D decisions. Prices in money per unit, orders and levels in units.

    ``level``: the inventory position that the order reaches; ``wanted``: price and order of whoever decided, before rails;
    ``rule``: what the best fixed rule would do. ``by``: the policy, or the rule with the reason. ``bound``: rails that
    moved something; ``outside``: inputs outside what was met in training; ``assumed``: fields that were not given.
    ``memory``: what the policy and the rule remember afterwards; ``cost``: money per unit, as given or the market's.
    """

    labels: list[str]
    price: Floats
    order: Floats
    level: Floats
    wanted: tuple[Floats, Floats]
    rule: tuple[Floats, Floats]
    by: list[str]
    bound: list[list[str]]
    outside: list[list[str]]
    assumed: list[list[str]]
    states: RolloutStates
    memory: tuple[Memory, Memory]
    cost: Floats

    def answer(self, k: int) -> dict[str, Any]:
        """Decision ``k`` as plain data."""
        row: dict[str, Any] = {"id": self.labels[k], "price": float(self.price[k]), "order": float(self.order[k])}
        row |= {"level": float(self.level[k]), "by": self.by[k]}
        row |= {"wanted_price": float(self.wanted[0][k]), "wanted_order": float(self.wanted[1][k])}
        row |= {"rule_price": float(self.rule[0][k]), "rule_order": float(self.rule[1][k])}
        return row | {"bound": self.bound[k], "outside": self.outside[k], "assumed": self.assumed[k]}


class Decider:
    """One seller of a run. Made once, asked often: what it needs of the run is worked out when it is made.

    Args:
        run: the run's market and sellers.
        seat: whose decisions.
        rails: what they are kept within.
    """

    def __init__(self, run: RunSellers, seat: int, rails: Rails = Rails()) -> None:  # noqa: B008  # frozen
        self.run, self.seat, self.rails = run, seat, rails
        self.spec: MarketSpec = run.spec
        self.fields: list[Field] = fields_of(self.spec, seat)
        self.seller: Seller = run.players[seat].seller
        self.rule = self.fixed(rails.fallback, "rails.fallback") if rails.fallback else self._best_fixed()

    @property
    def remembers(self) -> bool:
        """Whether what it decides depends on what happened before."""
        return bool(self.seller.start(1))

    @cached_property
    def rollout(self) -> Rollout:
        """Greedy play of the run's sellers, after the periods that evaluation skips."""
        warm_up = self.run.config.evaluation.warm_up
        return greedy_rollout(self.spec, self.run.sellers, EPISODES, self.run.seed, warm_up)

    @cached_property
    def met(self) -> Met:
        """What the seller met there, by field."""
        return Met.of(self.fields, self.rollout.states)

    @cached_property
    def usual(self) -> float:
        """Units that it sold a period there."""
        return float(self.rollout.states.sold[:, self.seat].mean())

    @cached_property
    def _single(self) -> MarketBatch:
        """What a single state is looked at in: making one takes longer than all else of a decision."""
        return to_look_at(self.spec, 1)

    # -------------------------------------------------------------------------------------------- deciding

    def decide(self, given: Given) -> Decided:
        """Decide in every state; where the policy cannot, the rule does."""
        last = given.last
        filled, assumed, lacking = self._filled(given)
        states = market_states(self.spec, self.fields, filled, given.location)
        outside, far = self._outside(given.values[last])
        price, order, memory = self._asked(self.seller, states, given.decision)
        *rule, its_memory = self._asked(self.rule, states, given.decision)
        far = far if self.rails.fallback else [[] for _ in last]  # nobody else decides: what is outside is said
        reasons = [self._reason(lacking[k], far[k], price[k], order[k]) for k in range(len(last))]
        failed = np.array([bool(reason) for reason in reasons])
        if failed.any() and self.rails.fallback is None:
            k = int(failed.argmax())
            raise UserError(
                f"state {given.labels[last[k]] or k + 1}: {reasons[k]}; rails.fallback names rules that decide then"
            )
        wanted = (np.where(failed, rule[0], price), np.where(failed, rule[1], order))
        now = states.at(last)
        cost = np.where(np.isnan(given.cost[last]), self.spec.sellers[self.seat].unit_cost, given.cost[last])
        railed = self.railed(wanted, now, cost)
        return Decided(
            labels=[given.labels[k] for k in last], price=railed.price, order=railed.order,
            level=now.position(self.seat) + railed.order if self.spec.stocked else np.zeros(len(last)),
            wanted=wanted, rule=(rule[0], rule[1]), bound=railed.bound, outside=outside, assumed=[assumed[k] for k in last],
            by=[f"{RULE} ({self.rule.label}): {reason}" if reason else POLICY for reason in reasons], states=now, memory=(memory, its_memory), cost=cost,
        )  # fmt: skip

    def _reason(self, lacking: list[str], far: list[str], price: float, order: float) -> str:
        """Why the policy cannot decide; empty where it can."""
        if lacking:
            return f"{', '.join(lacking)} not given"
        if far:
            return f"{', '.join(far)} far outside what was met in training"
        return "" if math.isfinite(price) and math.isfinite(order) else "the policy gave no number"

    def _filled(self, given: Given) -> tuple[Floats, list[list[str]], list[list[str]]]:
        """Values (R, K) with what is taken for missing ones; by row what was assumed; by decision what must be given."""
        values = given.values.copy()
        assumed: list[list[str]] = [[] for _ in values]
        lacking: list[list[str]] = [[] for _ in given.last]
        decision_of_last = {int(row): k for k, row in enumerate(given.last)}
        for column, field in enumerate(self.fields):
            for row in np.flatnonzero(np.isnan(values[:, column])):
                if math.isnan(field.missing):
                    values[row, column] = self.met.example(field)
                    assumed[row].append(f"{field.name} {field.said(self.met.example(field))} (usual)")
                    if int(row) in decision_of_last:
                        lacking[decision_of_last[int(row)]].append(field.name)
                else:
                    values[row, column] = field.missing
                    assumed[row].append(f"{field.name} {field.said(field.missing)}")
        return values, assumed, lacking

    def _outside(self, values: Floats) -> tuple[list[list[str]], list[list[str]]]:
        """By decision the inputs outside what was met, with the range, and those that are far outside."""
        outside: list[list[str]] = [[] for _ in values]
        far: list[list[str]] = [[] for _ in values]
        low, _, high = np.array([self.met.ranges[field.name] for field in self.fields]).reshape(-1, 3).T
        with np.errstate(invalid="ignore"):
            somewhere = ((values < low) | (values > high)).any(axis=0)
        for column in np.flatnonzero(somewhere).tolist():
            field = self.fields[column]
            if field.name == PERIOD and cycle_of(self.spec) is not None:
                continue  # all of a calendar that repeats was met
            beyond = self.met.beyond(field, values[:, column])
            least, _, most = self.met.ranges[field.name]
            for k in np.flatnonzero(beyond > 0):
                outside[k].append(f"{field.name} {values[k, column]:.4g} (met {least:.4g} to {most:.4g})")
                if beyond[k] > self.rails.outside:
                    far[k].append(f"{field.name} {values[k, column]:.4g}")
        return outside, far

    def _asked(self, seller: Seller, states: RolloutStates, decision: Ints) -> tuple[Floats, Floats, Memory]:
        """Price and order (D,) of a seller that has lived through the rows before each decision's last, and its memory then."""
        counts = np.bincount(decision)
        ends = np.cumsum(counts)
        memory, price, order = seller.start(len(counts)), np.empty(len(counts)), np.empty(len(counts))
        for back in range(int(counts.max()), 0, -1):
            there = np.flatnonzero(counts >= back)
            part = {name: array[there] for name, array in memory.items()}
            market = self._single if len(there) == 1 else None
            asked = states.at(ends[there] - back)
            price[there], order[there], after = _act(self.spec, seller, asked, self.seat, part, market)
            for name, array in memory.items():
                array[there] = after[name]
        return price, order, memory

    def railed(self, wanted: tuple[Floats, Floats], now: RolloutStates, cost: Floats) -> Railed:
        """What is wanted in states (D,), within the rails."""
        low, high = self.spec.sellers[self.seat].prices
        railed = Railed(np.clip(wanted[0], low, high), wanted[1])
        others = [k for k in range(len(self.spec.sellers)) if k != self.seat]
        seen = others and self.spec.visibility.rivals_prices == "last"
        within_price(self.rails, railed, now.price[:, self.seat], now.price[:, others] if seen else None, cost)
        if self.spec.stocked:
            within_order(self.rails, railed, now.position(self.seat), self.usual, cost)
            if self.spec.customers.mode == "sampled":
                railed.order = np.floor(railed.order + 0.5)  # as the market rounds
        return railed

    # -------------------------------------------------------------------------------------------- the rule beside it

    def fixed(self, text: str, where: str) -> FixedSeller:
        """Rules in the seat; ``where`` is the place that a mistake in them is told with."""
        rules: Rules = parse_rules(text, where, self.spec)
        return self.run.line_ups.fixed(rules, self.seat)

    def _best_fixed(self) -> FixedSeller:
        """The fixed rule that the run's final evaluation found best in the seat; else the first of the usual ones."""
        name, path = self.spec.names[self.seat], self.run.folder / "evaluation.json"
        best = _best_of(path, name)
        return (
            self.fixed(best, str(path))
            if best
            else self.run.line_ups.fixed(self.run.line_ups.competitors()[0], self.seat)
        )


def market_states(spec: MarketSpec, fields: Sequence[Field], values: Floats, location: Ints) -> RolloutStates:
    """The market's states (R,) that values (R, K) of fields tell; what no field tells is nothing."""
    rows, count = len(values), len(spec.sellers)
    zeros = np.zeros((rows, count))
    states = RolloutStates(
        episode=np.arange(rows),
        period=np.zeros(rows, np.int64),
        on_hand=zeros.copy(),
        pipeline=np.zeros((rows, count, spec.max_lead_time)),
        price=zeros + [one.first_price for one in spec.sellers],
        sold=zeros.copy(),
        lost=zeros.copy(),
        event=np.zeros((rows, spec.announced + 1, count), np.int8),
        place=location.copy(),
        reference=zeros.copy() if spec.prices_linger else zeros[:, :0],
        smoothed=np.repeat(usual_demand(spec)[:1], rows, axis=0) if spec.forecasts else zeros[:, :0],
    )
    for field, column in zip(fields, values.T, strict=True):
        field.put(states, in_calendar(spec, column) if field.name == PERIOD else column)
    return states


def _best_of(path: Path, seller: str) -> str | None:
    """The rules that a final evaluation calls best in a seat; None where there is no such file or it says nothing of it."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return next((str(row["best_fixed"]) for row in rows if row["seat"] == seller and row.get("best_fixed")), None)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _act(
    spec: MarketSpec, seller: Seller, states: RolloutStates, seat: int, memory: Memory, market: MarketBatch | None
) -> tuple[Floats, Floats, Memory]:
    """What a seller decides in states (D,), and what it remembers then."""
    price, order = np.empty(len(states)), np.empty(len(states))
    after = {name: array.copy() for name, array in memory.items()}
    for part, view in views(spec, states, seat, market):
        price[part], order[part], now = seller.act(view, {name: array[part] for name, array in memory.items()})
        for name, array in now.items():
            after[name][part] = array
    return price, order, after


def in_calendar(spec: MarketSpec, period: Floats) -> Floats:
    """Periods (D,) as the market counts them within an episode: of a calendar that repeats, at the same place in its cycle.

    Raises :class:`UserError` where the calendar does not repeat, or not within an episode.
    """
    beyond = period >= spec.horizon
    if not beyond.any():
        return period
    if (cycle := cycle_of(spec)) is None:
        raise UserError(
            f"{PERIOD}: must be below {spec.horizon}, the length of an episode, since the calendar does not repeat within it"
        )
    return np.where(beyond, period % cycle, period)
