"""One served seller: states in, answers out; what the log is told of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from market.errors import UserError
from market.spec.loading import suggestion
from policies.deployment.contract import described
from policies.deployment.decider import Decided, Decider
from policies.deployment.outlook import outlook
from policies.deployment.states import STATE, number, told_states
from policies.deployment.template import example_state
from policies.evaluation.statistics import Interval

Mode = Literal["live", "shadow"]
MOST_STATES = 10_000  # in one request
OUTPUTS = {
    "price": "money per unit",
    "order": "units",
    "level": "units on hand and on order once it has been placed",
}
OUTCOME = ("price", "sold", "lost", "ordered")


@dataclass(frozen=True)
class Desk:
    """Where decisions of one seller are asked for.

    ``mode``: ``live``, what is answered is the policy's; ``shadow``, the rule's, and the policy's stands beside it. ``folder``: the
    run's folder, where the decider's is a later one of it; None: the decider's.
    """

    decider: Decider
    mode: Mode = "live"
    folder: Path | None = None

    @property
    def name(self) -> str:
        """The seller's."""
        return self.decider.spec.names[self.decider.seat]

    @cached_property
    def run(self) -> str:
        """The folder of its run, which stays the same whichever seller of it is in force."""
        return str(self.home.resolve())

    @property
    def home(self) -> Path:
        """The run's folder."""
        return self.folder or self.decider.run.folder

    @property
    def version(self) -> str:
        """The name of the folder of the seller that decides: the run's, or that of an update."""
        return self.decider.run.folder.resolve().name

    @cached_property
    def contract(self) -> dict[str, Any]:
        """What it is, what it must be told and what it answers."""
        found = described(self.decider)
        outputs = [{"name": name, "unit": unit} for name, unit in OUTPUTS.items()]
        return found | {"outputs": outputs, "mode": self.mode, "rule": self.decider.rule.label}

    @cached_property
    def example(self) -> dict[str, Any]:
        """A state that is usual."""
        return example_state(self.decider)

    # -------------------------------------------------------------------------------------------- deciding

    def answers(self, data: Any) -> list[dict[str, Any]]:
        """What to do in a state, or in each of a list of them.

        Raises :class:`UserError` for a state that cannot be.
        """
        if isinstance(data, list) and len(data) > MOST_STATES:
            raise UserError(f"state: at most {MOST_STATES:,} in one request, got {len(data):,}")
        decided = self.decided(data)
        found = [decided.answer(k) | {"version": self.version} for k in range(len(decided.labels))]
        return found if self.mode == "live" else self._in_shadow(decided, found)

    def decided(self, data: Any) -> Decided:
        """Decisions in full."""
        decider = self.decider
        return decider.decide(told_states(data, STATE, decider.spec, decider.seat, decider.fields, decider.remembers))

    def _in_shadow(self, decided: Decided, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The rule's decisions, within the same rails, with what the policy would have done."""
        rule = self.decider.railed(decided.rule, decided.states, decided.cost)
        position = decided.level - decided.order
        for k, answer in enumerate(found):
            answer["shadow"] = {name: answer[name] for name in ("price", "order", "level", "by", "bound")}
            answer |= {"price": float(rule.price[k]), "order": float(rule.order[k]), "bound": rule.bound[k]}
            answer["level"] = float(position[k] + rule.order[k]) if self.decider.spec.stocked else 0.0
            answer["by"] = f"rule ({self.decider.rule.label}): shadow"
            found[k] = answer
        return found

    def outlook(self, decided: Decided, periods: int, episodes: int) -> dict[str, Any]:
        """What a decision is expected to earn: profit a period by who decides, and the policy's advantage.

        It plays in markets of its own: decisions may be made beside it, in another thread.
        """
        found = outlook(self.decider, decided, 0, periods, episodes)
        profit = {name: _interval(one) for name, one in found.profit.items()}
        gaps = {name: _interval(one) for name, one in found.gaps.items()}
        return {"periods": found.periods, "episodes": found.episodes, "profit": profit, "advantage": gaps}

    def warm(self) -> None:
        """Decide once, so that whoever asks first does not wait for what is made once."""
        self.decided(self.example)
        self.contract  # noqa: B018  # made once

    # -------------------------------------------------------------------------------------------- what came of it

    def outcome(self, entry: Any, place: str) -> tuple[int, dict[str, Any]]:
        """A decision's number and what came of it, in the market's units.

        Raises :class:`UserError` for what is no outcome.
        """
        if not isinstance(entry, Mapping):
            raise UserError(f"{place}: must be a mapping with decision and sold")
        number = entry.get("decision")
        if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 2**31:
            raise UserError(f"{place}: decision: must be the number of a decision, got {number!r}")
        known = ("decision", "rivals", *OUTCOME)
        for name in entry:
            if name not in known:
                raise UserError(f"{place}: {name}: unknown field{suggestion(name, known)}")
        found: dict[str, Any] = _amounts(entry, OUTCOME, f"{place}: ")
        if "sold" not in found:
            raise UserError(f"{place}: sold: is required: the units sold")
        if "rivals" in entry:
            found["rivals"] = self._rivals(entry["rivals"], f"{place}: rivals")
        return number, found

    def _rivals(self, given: Any, place: str) -> dict[str, dict[str, float]]:
        rivals = [name for name in self.decider.spec.names if name != self.name]
        if not isinstance(given, Mapping):
            raise UserError(f"{place}: must be a mapping of rivals to what they did")
        found = {}
        for name, own in given.items():
            if name not in rivals:
                raise UserError(f"{place}.{name}: no rival has this name{suggestion(name, rivals)}")
            if not isinstance(own, Mapping) or not set(own) <= {"price", "sold"}:
                raise UserError(f"{place}.{name}: must be a mapping with price and sold")
            found[name] = _amounts(own, ("price", "sold"), f"{place}.{name}.")
        return found


def _amounts(given: Mapping[str, Any], names: Sequence[str], place: str) -> dict[str, float]:
    """What is told of some amounts; a null tells nothing."""
    found = {name: number(given[name], place + name) for name in names if name in given}
    return {name: value for name, value in found.items() if not math.isnan(value)}


def _interval(one: Interval) -> dict[str, float]:
    return {"mean": one.value, "low": one.low, "high": one.high}
