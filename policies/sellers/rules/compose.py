"""Fixed competitors: a pricing rule and a replenishment rule, composed by name.

As text, ``undercut(step=0.05) + base_stock(level=best)``; in YAML, also
``{pricing: {undercut: {step: 0.05}}, replenishment: {base_stock: {level: best}}}``. A new rule is a class of options
in ``policies/sellers/rules/pricing.py`` or ``policies/sellers/rules/replenishment.py``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
from pydantic import SerializeAsAny

from market.errors import UserError
from market.spec.loading import parse_model
from market.spec.models import MarketSpec, Model
from market.state import Floats
from policies.sellers.protocol import Memory, View
from policies.sellers.rules.base import Rule, Seat, place
from policies.sellers.rules.pricing import PRICING, History, Optimal, PricingRule
from policies.sellers.rules.replenishment import REPLENISHMENT, BaseStock, OptimalOrders, ReplenishmentRule

PART = re.compile(r"\s*([A-Za-z_]+)\s*(?:\(([^()]*)\))?\s*")
TEXT = re.compile(rf"({PART.pattern})(?:\+({PART.pattern}))?")
Kind = TypeVar("Kind", PricingRule, ReplenishmentRule)


class Rules(Model):
    """What a fixed competitor does.

    Without a replenishment rule it plays ``base_stock`` where stock is held, ``history`` with ``level=ample``.
    """

    pricing: SerializeAsAny[PricingRule]
    replenishment: SerializeAsAny[ReplenishmentRule] | None = None

    @property
    def label(self) -> str:
        """The rules as text that :func:`parse_rules` reads back: options that are not the default."""
        parts = [self.pricing, None if isinstance(self.pricing, Optimal) else self.replenishment]
        return "+".join(_text(part) for part in parts if part is not None)

    @property
    def searched(self) -> tuple[str, ...]:
        """Options that are to be found by simulation."""
        return self.replenishment.searched if self.replenishment else ()

    def completed(self, spec: MarketSpec) -> Rules:
        """With the default replenishment rule where the market holds stock; refuses one where it does not."""
        if not spec.stocked and self.replenishment is not None:
            raise UserError(
                f"replenishment: means nothing when market.inventory is make_to_order: "
                f"leave {self.replenishment.rule} out"
            )
        if not spec.stocked:
            return self
        if isinstance(self.pricing, Optimal):
            return self._completed_optimum(self.pricing)
        if self.replenishment is not None:
            return self
        # What a history sold it had: with less stock it would run dry, and its rivals sell what it sold.
        return self.with_replenishment(BaseStock(level="ample") if isinstance(self.pricing, History) else BaseStock())

    def _completed_optimum(self, pricing: Optimal) -> Rules:
        """The optimum decides prices and orders together, from one solution."""
        own = OptimalOrders(gamma=pricing.gamma)
        if self.replenishment not in (None, OptimalOrders(), own):
            raise UserError(
                f"replenishment: optimal decides price and order together: leave {self.replenishment.rule} out, or "
                "give another pricing rule"
            )
        return self.with_replenishment(own)

    def with_replenishment(self, replenishment: ReplenishmentRule) -> Rules:
        """The same pricing with another replenishment."""
        return Rules(pricing=self.pricing, replenishment=replenishment)

    def check(self, spec: MarketSpec, seat: int) -> None:
        """Raise :class:`UserError` when the rules cannot play this seat; levels to be searched are not searched."""
        rules = self.completed(spec)
        if rules.replenishment is not None and rules.searched:
            with place(f"seats.{spec.names[seat]}.replenishment.{rules.replenishment.rule}"):
                Seat(spec, seat).refuse_free_stock()
            anything = rules.replenishment.model_copy(update=dict.fromkeys(rules.searched, 1.0))
            rules = rules.with_replenishment(anything)
        compose(rules, spec, seat)


def _text(part: PricingRule | ReplenishmentRule) -> str:
    fields = type(part).model_fields
    options = {name: getattr(part, name) for name in fields if getattr(part, name) != fields[name].default}
    inside = ",".join(f"{name}={_plain(value)}" for name, value in options.items())
    return f"{part.rule}({inside})" if inside else part.rule


def _plain(value: object) -> str:
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def register_rule(name: str, options: type[PricingRule | ReplenishmentRule]) -> None:
    """Let rules name one of your own: a class of its options, which says in ``bind`` (and ``usual``) what it does.

    It is known in this process, not in those that train several seeds, play tournaments or search options.

    Raises :class:`UserError` for a name that is taken, or that no text of rules could hold.

    Example::

        from market.spec.models import MarketSpec
        from policies import build_rule, register_rule
        from policies.sellers.rules.pricing import PricingRule

        class Round(PricingRule):
            def usual(self, seat):
                return float(round(seat.middle))

        register_rule("round", Round)
        seller = build_rule("round+base_stock", MarketSpec.load("duopoly"), seat=0)
        print(seller.label)
    """
    if re.fullmatch("[A-Za-z_]+", name) is None:
        raise UserError(f"{name}: must be letters and underscores")
    if name in PRICING or name in REPLENISHMENT:
        raise UserError(f"{name}: there is a rule of that name")
    options.rule = name
    if issubclass(options, PricingRule):
        PRICING[name] = options
    else:
        REPLENISHMENT[name] = options


def parse_rules(data: object, where: str = "rules", spec: MarketSpec | None = None) -> Rules:
    """Read rules from text or a mapping; with ``spec``, complete them for that market.

    Raises :class:`UserError` that begins with ``where`` and names the key and the rule.
    """
    given = _halves(data, where) if isinstance(data, str) else data
    if isinstance(given, Rules):
        rules = given
    elif isinstance(given, Mapping):
        rules = _from_mapping(given, where)
    else:
        raise UserError(f"{where}: must be rules such as nash+base_stock, or a mapping with the key pricing")
    if spec is None:
        return rules
    try:
        return rules.completed(spec)
    except UserError as problem:
        raise UserError(f"{where}.{problem}") from None


def _halves(text: str, where: str) -> dict[str, str | None]:
    match = TEXT.fullmatch(text)
    if match is None:
        cut = "; YAML cuts lists at commas, so quote rules that have one" if text.count("(") > text.count(")") else ""
        raise UserError(f"{where}: {text!r} must be pricing+replenishment, such as undercut(step=0.05)+base_stock{cut}")
    first, _, _, second, *_ = match.groups()
    return {"pricing": first, "replenishment": second}


def _from_mapping(data: Mapping[Any, Any], where: str) -> Rules:
    for key in data:
        if key not in ("pricing", "replenishment"):
            raise UserError(f"{where}.{key}: unknown key; rules have pricing and replenishment")
    if data.get("pricing") is None:
        raise UserError(f"{where}.pricing: this key is required")
    pricing = _part(data["pricing"], PRICING, f"{where}.pricing")
    given = data.get("replenishment")
    replenishment = None if given is None else _part(given, REPLENISHMENT, f"{where}.replenishment")
    return Rules(pricing=pricing, replenishment=replenishment)


def _part(data: object, table: Mapping[str, type[Kind]], where: str) -> Kind:
    """One rule: ``name``, ``name(option=value)`` or ``{name: {option: value}}``."""
    options: object
    if isinstance(data, str):
        match = PART.fullmatch(data)
        if match is None:
            raise UserError(f"{where}: {data!r} must be a rule such as name or name(option=value)")
        name, inside = match.groups()
        options = _options(inside or "", f"{where}.{name}")
    elif isinstance(data, Mapping) and len(data) == 1:
        ((name, options),) = data.items()
    else:
        raise UserError(f"{where}: must be the name of one rule, alone or with its options")
    if name not in table:
        raise UserError(f"{where}: unknown rule {name!r}; the rules are {', '.join(table)}")
    known = table[name].model_fields
    if isinstance(options, Mapping):
        for key in options:
            if key not in known:
                raise UserError(f"{where}.{name}.{key}: unknown key; {name} has {', '.join(known) or 'no options'}")
    return parse_model(table[name], {} if options is None else options, f"{where}.{name}")


def _options(text: str, where: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for item in text.split(",") if text.strip() else []:
        name, equals, value = (part.strip() for part in item.partition("="))
        if not (name and equals and value):
            raise UserError(f"{where}: {item.strip()!r} must be option=value")
        if name in options:
            raise UserError(f"{where}.{name}: is given twice")
        options[name] = value
    return options


@dataclass(frozen=True)
class FixedSeller:
    """A seller that follows rules, in one seat. ``rules`` hold the levels found where they were searched.

    It plays by the seat's rules, as learners do: prices in its range, and orders that keep the inventory position inside
    ``order_up_to`` (with [0, 0] it never orders); only ``base_stock(level=ample)`` is not bound by that.
    """

    rules: Rules
    seat: Seat
    pricing: Rule
    replenishment: Rule | None

    @property
    def label(self) -> str:
        """The rules as text, with the levels found."""
        return self.rules.label

    def start(self, markets: int) -> Memory:
        """Both rules' memories, arrays over M."""
        replenishment = self.replenishment.start(markets) if self.replenishment else {}
        return self.pricing.start(markets) | replenishment

    def act(self, view: View, memory: Memory) -> tuple[Floats, Floats, Memory]:
        """Price (M,) in the seat's range, quantity to order (M,) >= 0, and the memory to go on with."""
        price, changed = self.pricing.decide(view, memory)
        price = np.clip(price, *self.seat.seller.prices)
        if self.replenishment is None:
            return price, np.zeros(len(price)), memory | changed
        order, stock = self.replenishment.decide(view, memory)
        if not (self.rules.replenishment and self.rules.replenishment.unbound):
            order = self.seat.kept_order(order, view.on_hand, view.on_order)
        return price, order, memory | changed | stock

    @property
    def usual_price(self) -> float | None:
        """What it posts as a rule, money per unit: always, or what its stock levels are worked out for; None if unknown."""
        try:
            return self.rules.pricing.usual(self.seat)
        except UserError:
            return None

    @property
    def kept(self) -> str:
        """What the seat's ``order_up_to`` range takes from the rules' level, in words; empty where it does not bind."""
        rule = self.rules.replenishment
        if rule is None or rule.unbound:
            return ""
        level = rule.aim(self.seat, partial(self.rules.pricing.usual, self.seat))
        if level is None or self.seat.kept(level) == level:
            return ""
        low, high = self.seat.seller.order_up_to
        return f"kept to order_up_to [{low:g}, {high:g}]; would order up to {level:g}"


def compose(rules: Rules, spec: MarketSpec, seat: int, where: str | None = None) -> FixedSeller:
    """The seller of rules whose levels are all known; :func:`policies.sellers.rules.level_search.build` also searches for levels."""
    where = where or f"seats.{spec.names[seat]}"
    rules = parse_rules(rules, where, spec)
    at, pricing, replenishment = Seat(spec, seat), rules.pricing, rules.replenishment
    if replenishment is None:
        with place(f"{where}.pricing.{pricing.rule}"):
            return FixedSeller(rules, at, pricing.bind(at, lambda: 0.0), None)
    usual = partial(pricing.usual, at)
    with place(f"{where}.pricing.{pricing.rule}"):
        priced = pricing.bind(at, partial(replenishment.kept_level, at, usual))
    with place(f"{where}.replenishment.{replenishment.rule}"):
        return FixedSeller(rules, at, priced, replenishment.beside(at, pricing))
