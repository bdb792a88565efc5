"""The exact best response to a run's other sellers, where their play leaves an exact problem."""

from __future__ import annotations

from dataclasses import dataclass

from market.errors import Refusal
from market.layout import Floats
from market.optimum import Optimum
from policies.exact_response import exact_best_response
from policies.fixed import Rules, parse_rules
from policies.frozen import FrozenRun
from policies.memory_one import best_price_cycle
from policies.seller import Memory, Seller, View

INSTEAD = "; `bazaar exploit` trains a response instead"


@dataclass(frozen=True)
class ExactReply:
    """A best response, ``average`` money a period in the long run, the best among what ``among`` says."""

    seller: Seller
    average: float
    among: str


@dataclass(frozen=True, eq=False)
class OptimalSeller:
    """Plays an exact solution's tables. Satisfies :class:`policies.seller.Seller`; it remembers nothing."""

    optimum: Optimum

    def start(self, markets: int) -> Memory:
        """Nothing to remember."""
        return {}

    def act(self, view: View, memory: Memory) -> tuple[Floats, Floats, Memory]:
        """Price (M,) and quantity (M,) for what is on hand and on its way."""
        return *self.optimum.decide(view.on_hand, view.pipeline), memory


def exact_reply(run: FrozenRun, seat: int) -> ExactReply:
    """Return the best response of ``seat`` to the run's others.

    To rules that post one price for ever and never run dry (``policies.exact_response``), and made to order to sellers
    whose next price follows from the last prices (``policies.memory_one``).

    Raises:
        Refusal: with the reason why there is none.
    """
    try:
        return _to_constant_prices(run, seat)
    except Refusal as problem:
        if run.spec.stocked:
            raise Refusal(_plain(problem)) from None
    rivals = {k: seller for k, seller in enumerate(run.sellers) if k != seat}
    cycle = best_price_cycle(run.spec, seat, rivals)
    return ExactReply(cycle, cycle.average, f"{len(cycle.prices)} prices, after every combination of last prices")


def _to_constant_prices(run: FrozenRun, seat: int) -> ExactReply:
    spec, own = run.spec, parse_rules("constant")
    rules = [own if k == seat else _rules(run, k) for k in range(len(spec.sellers))]
    optimum = exact_best_response(spec, seat, rules)
    among = "81 prices and every whole level, at every stock" if spec.stocked else "all prices of its range"
    return ExactReply(OptimalSeller(optimum), optimum.average, among)


def _rules(run: FrozenRun, seat: int) -> Rules:
    rules = run.rules[seat]
    if rules is None:
        raise Refusal(
            f"{run.labels[seat]} is learned, and what it does follows from more than a state that can be solved"
        )
    return rules


def _plain(problem: Refusal) -> str:
    """The reason alone: the message of a rule that offers this very command."""
    return str(problem).removesuffix(INSTEAD).replace("no exact best response: ", "").replace("no exact optimum: ", "")
