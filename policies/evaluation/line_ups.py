"""Whom sellers are evaluated against: line-ups of rivals, and the fixed competitors tried in their seat."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from market.errors import UserError
from market.spec.models import MarketSpec
from policies.common.progress import Tick, unseen
from policies.common.seeding import row_seed
from policies.config.run import Evaluation, RunConfig, usual_player
from policies.evaluation.compare import Comparison, compare
from policies.evaluation.over_draws import episodes_of_a_draw, over_draws
from policies.evaluation.profit_gain import ProfitGain
from policies.sellers.protocol import Seller
from policies.sellers.rules.compose import FixedSeller, Rules, parse_rules
from policies.sellers.rules.level_search import build
from policies.sellers.rules.pricing import Nash
from policies.sellers.rules.usual import (
    OPTIMAL,
    optimum_size,
    solved_cheaply,
    usual_competitors,
    usual_line_ups,
    usual_panel,
)
from policies.sellers.seated import LineUp, Seated

LEARNED_RIVALS = 2.0  # times as wide may intervals be among them


class LineUps:
    """Plays comparisons in one market; fixed competitors are made once and used again.

    ``changed``: the settings in which the market differs from the one that its learned sellers were trained in.
    """

    def __init__(self, config: RunConfig, seed: int, changed: tuple[str, ...] = ()) -> None:
        self.config, self.spec, self.seed, self.changed = config, config.market, seed, changed
        self._made: dict[tuple[str, int, str], FixedSeller] = {}

    @cached_property
    def certain(self) -> LineUps:
        """The same in the market as it is estimated, where episodes play draws of it."""
        if self.spec.uncertainty == "off":
            return self
        return LineUps(self.config.model_copy(update={"market": self.spec.certain}), self.seed, self.changed)

    @cached_property
    def profit_gain(self) -> ProfitGain:
        """What all seats would earn at Nash and at joint-profit prices."""
        return ProfitGain(self.spec, self.config.evaluation)

    def fixed(self, rules: Rules, seat: int, tick: Tick = unseen) -> FixedSeller:
        """The fixed competitor of ``rules`` in a seat, ``best`` levels searched against Nash prices."""
        return self._make(rules, seat, "", None, tick)

    def against(self, rules: Rules, seat: int, line_up: LineUp, tick: Tick = unseen) -> FixedSeller:
        """The same, ``best`` levels searched against what the rivals of ``line_up`` really do.

        Where some of these learned, levels are those against Nash prices: searched for once, and about the same.
        """
        if not rules.searched or len(self.spec.sellers) == 1:
            return self.fixed(rules, seat, tick)
        rivals = self._followed(seat, line_up, tick)
        if rivals is None or self._as_usual(seat, rivals):
            return self.fixed(rules, seat, tick)
        return self._make(rules, seat, line_up.label, rivals, tick)

    def _as_usual(self, seat: int, rivals: Sequence[Rules]) -> bool:
        """Whether the rivals do what levels are searched against where nothing is said of them."""
        others = (k for k in range(len(self.spec.sellers)) if k != seat)
        return all(rivals[k] == parse_rules(usual_player(self.spec, k), "rivals", self.spec) for k in others)

    def _followed(self, seat: int, line_up: LineUp, tick: Tick) -> list[Rules] | None:
        """The rules of the rivals of a seat, levels found, for every seat; None where some follow none."""
        if isinstance(line_up, Seated):
            return line_up.rules(seat)
        seats = range(len(self.spec.sellers))
        return [line_up if k == seat else self.fixed(line_up, k, tick).rules for k in seats]

    def repeats(self, seat: int, seated: Seated, line_ups: Sequence[LineUp]) -> bool:
        """Whether the rivals of a seat do what they do in one of these line-ups, so that one table says it all."""
        rules, others = seated.rules(seat), [k for k in range(len(self.spec.sellers)) if k != seat]
        played = [self._followed(seat, one, unseen) for one in line_ups]
        return rules is not None and any(one and all(rules[k] == one[k] for k in others) for one in played)

    def _make(self, rules: Rules, seat: int, line_up: str, rivals: Sequence[Rules] | None, tick: Tick) -> FixedSeller:
        at = (rules.label, seat, line_up)
        if at not in self._made:
            tick(f"setting up {rules.label}", 0)
            self._made[at] = build(rules, self.spec, seat, rivals=rivals, seed=self.seed)
        return self._made[at]

    def check(self) -> None:
        """Raise :class:`UserError` now for a line-up or competitor of the configuration that cannot play later."""
        self.chosen(None)
        self.chosen("panel")
        self.competitors()

    def chosen(self, against: str | None) -> list[Rules]:
        """What rivals play: the rules given, the panel, or the configuration's line-ups."""
        settings = self.config.evaluation
        if len(self.spec.sellers) == 1:
            return self._only_one(against)
        if against is not None and against != "panel":
            return [self._rules(against, "--against")]
        if against == "panel":
            return self.listed(settings.panel, usual_panel, "evaluation.panel")
        return self.listed(settings.line_ups, usual_line_ups, "evaluation.line_ups")

    def _only_one(self, against: str | None) -> list[Rules]:
        """A monopoly has no rivals; the line-up that it is given plays nowhere."""
        if against not in (None, "panel"):
            raise UserError(f"--against {against}: {self.spec.name} has one seller, so there are no rivals")
        return [parse_rules("cost_plus", "line-up", self.spec)]

    def competitors(self) -> list[Rules]:
        """The fixed competitors tried in the evaluated seat; defaults that make no sense here are left out."""
        if self.config.evaluation.competitors:
            return self.parse(self.config.evaluation.competitors, "evaluation.competitors")
        return self._usable(usual_competitors(self.spec), "competitors")[0]

    def _at_nash(self, line_up: LineUp) -> bool:
        """Whether the rivals post constant Nash prices, if there are any: what an exact optimum takes them to do."""
        return len(self.spec.sellers) == 1 or (isinstance(line_up, Rules) and isinstance(line_up.pricing, Nash))

    def references(self, seat: int, tick: Tick = unseen) -> dict[str, Seller]:
        """Beside the usual competitors the exact optimum of the seat, where one exists that is soon solved.

        It shows how far from the best a seller is, and is no competitor to beat: against rivals at constant Nash prices
        who never run dry nothing earns more.
        """
        if self.config.evaluation.competitors or not solved_cheaply(self.spec, seat):
            return {}
        rules = parse_rules(OPTIMAL, "competitors", self.spec)
        try:
            return {rules.label: self.fixed(rules, seat, tick)}
        except UserError:
            return {}

    def _left_out(self, seat: int) -> int:
        return 0 if self.config.evaluation.competitors else optimum_size(self.spec, seat)

    def listed(self, given: Sequence[Any], usual: Callable[[MarketSpec], Sequence[str]], where: str) -> list[Rules]:
        """The configuration's list, or what of the ``usual`` one can play here; refused where nothing can."""
        if given:
            return self.parse(given, where)
        usable, problems = self._usable(usual(self.spec), where)
        if not usable:
            raise problems[0]
        return usable

    def _usable(self, listed: Sequence[str], where: str) -> tuple[list[Rules], list[UserError]]:
        usable, problems = list[Rules](), list[UserError]()
        for k, text in enumerate(listed):
            try:
                usable.append(self._rules(text, f"{where}.{k}"))
            except UserError as problem:
                problems.append(problem)
        return usable, problems

    def parse(self, listed: Any, where: str) -> list[Rules]:
        """Rules that can play every seat, from a configuration's list."""
        return [self._rules(item, f"{where}.{k}") for k, item in enumerate(listed)]

    def _rules(self, item: Any, where: str) -> Rules:
        """Rules that can play every seat."""
        rules = parse_rules(item, where, self.spec)
        for seat in range(len(self.spec.sellers)):
            try:
                rules.check(self.spec, seat)
            except UserError as problem:
                raise UserError(f"{where}: {rules.label} cannot play here: {problem}") from None
        return rules

    def rivals(self, seat: int, line_up: LineUp, own: Seller, tick: Tick = unseen) -> list[Seller]:
        """A seller for every seat: ``own`` in the evaluated one, where nobody looks, those of the line-up elsewhere."""
        if isinstance(line_up, Seated):
            return [own if k == seat else seller for k, (_, seller) in enumerate(line_up.named)]
        return [own if k == seat else self.fixed(line_up, k, tick) for k in range(len(self.spec.sellers))]

    def settings(self, seat: int, line_up: LineUp) -> Evaluation:
        """How a comparison is played: among rivals that learned, who take long, with intervals twice as wide."""
        usual = self.config.evaluation
        if isinstance(line_up, Seated) and line_up.rules(seat) is None:
            return usual.model_copy(update={"precision": min(LEARNED_RIVALS * usual.precision, 1.0)})
        return usual

    def compare(
        self, seat: int, entrants: Mapping[str, Seller], line_up: LineUp, episodes: int | None, tick: Tick
    ) -> Comparison:
        """Play the entrants and every fixed competitor in ``seat`` against ``line_up``.

        Levels that competitors give as ``best`` are the best against this line-up, whose own are not searched anew.
        """
        rivals = self.rivals(seat, line_up, next(iter(entrants.values())), tick)
        candidates = dict(entrants)
        for rules in self.competitors():
            if rules.label not in candidates:
                candidates[rules.label] = self.against(rules, seat, line_up, tick)
        known = self.references(seat, tick) if self._at_nash(line_up) else {}
        beyond = {name: one for name, one in known.items() if name not in candidates}
        candidates, settings = candidates | beyond, self.settings(seat, line_up)
        names = list(entrants), rivals
        results = compare(self.spec, seat, candidates, *names, settings, self.seed, episodes, tick, tuple(beyond))
        ends = self.profit_gain.ends(row_seed(self.seed, "evaluate"), len(results[0].profit), tick)
        return Comparison(
            seat=self.spec.names[seat],
            line_up=line_up.label,
            rivals=line_up.others(seat) if isinstance(line_up, Seated) else "",
            results=results,
            precision=settings.precision,
            ends=ends,
            no_gain=self.profit_gain.problem,
            sellers=len(self.spec.sellers),
            changed=self.changed,
            left_out=self._left_out(seat) if self._at_nash(line_up) and not known else 0,
        )

    def over_draws(
        self, seat: int, entrants: Mapping[str, Seller], line_up: LineUp, found: Comparison, tick: Tick = unseen
    ) -> Comparison:
        """A comparison in the market as it is estimated, with its entrants beside the best competitor in every draw."""
        if found.best is None or not self.spec.draws:
            return found
        best = next(rules for rules in self.competitors() if rules.label == found.best.policy)
        rivals = self.rivals(seat, line_up, next(iter(entrants.values())), tick)
        episodes = episodes_of_a_draw(self.spec, len(found.best.profit))
        played = self.against(best, seat, line_up, tick), rivals, self.config.evaluation, self.seed, episodes, tick
        return replace(found, draws=over_draws(self.spec, seat, entrants, *played))
