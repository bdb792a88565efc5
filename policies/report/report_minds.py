"""The report's sections on policies: their maps beside a reference, in words, and what they look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from market.errors import Refusal
from market.spec.models import MarketSpec
from policies.common.seeding import row_seed
from policies.explain.decision_tree import DEPTH, Imitation, imitate
from policies.explain.importance import Importance, importances
from policies.explain.policy_map import PolicyMap, policy_map
from policies.explain.states import Watched, watch
from policies.report.data import Player, Run
from policies.report.policies import importance_chart, map_chart
from policies.sellers.network_seller import TrainedSeller
from policies.sellers.protocol import Seller
from policies.sellers.rules.level_search import build
from policies.views.format import DASH, number, small
from policies.views.page import Page

DEEPER = 6
EPISODES = 64


@dataclass(frozen=True)
class Mind:
    """What was found out about one learned seller; ``deeper`` is its imitation by a larger tree."""

    player: Player
    chart: PolicyMap
    reference: PolicyMap | None
    imitation: Imitation
    deeper: Imitation
    importances: list[Importance]


def reference_seller(spec: MarketSpec, seat: int) -> tuple[str, Seller] | None:
    """Whom a policy is compared with: the exact optimum where there is one, else Nash prices, else nobody."""
    for rules in ("optimal", "nash+base_stock" if spec.stocked else "nash"):
        try:
            return rules, build(rules, spec, seat)
        except Refusal:
            continue
    return None


def read_minds(run: Run, seed: int, say: Callable[[str], None]) -> list[Mind]:
    """Watch the run's sellers play each other and ask each learned one what it does, and why."""
    say("watching them play")
    sellers = [player.seller for player in run.players]
    watched = watch(run.spec, sellers, EPISODES, row_seed(seed, "evaluate"), run.config.evaluation.warm_up)
    found = []
    for player in run.learners:
        say(f"reading the policy of {player.name}")
        found.append(_mind(run.spec, player, watched, seed))
    return found


def _mind(spec: MarketSpec, player: Player, watched: Watched, seed: int) -> Mind:
    seat, seller = player.seat, player.seller
    assert isinstance(seller, TrainedSeller)
    other = reference_seller(spec, seat)
    reference = None if other is None else policy_map(other[0], other[1], watched, seat)
    chart = policy_map(player.label, seller, watched, seat)
    told, deeper = imitate(seller, watched, seat, DEPTH), imitate(seller, watched, seat, DEEPER)
    reasons = importances(spec, seller, watched.situations, seat, watched.memories[seat], seed)
    return Mind(player, chart, reference, told, deeper, reasons)


def minds_section(page: Page, run: Run, minds: list[Mind]) -> None:
    """Every learned seller's policy: map, words, importances."""
    page.section("policies", "What have they learned to do?")
    page.paragraph(
        "Policies without exploration, in situations that the run's sellers bring about among themselves on customers "
        "that they were not trained on."
    )
    for mind in minds:
        page.heading(mind.player.label)
        page.chart(map_chart(mind.chart, mind.reference, map_title(mind)))
        _words(page, run.spec, mind)
        chart = importance_chart(run.spec, mind.player, mind.importances)
        if chart is not None:
            page.chart(chart)
        else:
            page.paragraph(_no_reaction(run.spec, mind), "note")


def map_title(mind: Mind) -> str:
    """What the map shows, with the range of prices in it."""
    low, high = float(mind.chart.price.min()), float(mind.chart.price.max())
    spread = f"posts {low:.3f} to {high:.3f}" if high - low > 5e-4 else f"posts {low:.3f} throughout"
    free = mind.chart.across.name + ("" if mind.chart.up is None else f" and {mind.chart.up.name}")
    beside = ""
    if mind.reference is not None:
        what = "the exact optimum (rivals at Nash prices)" if mind.reference.policy == "optimal" else "Nash prices"
        if mind.reference.policy == "optimal" and "rival" not in free:
            what = "the exact optimum"
        beside = f", beside {what}"
    return f"{mind.player.name} {spread} over {free}{beside}"


def _words(page: Page, spec: MarketSpec, mind: Mind) -> None:
    told = mind.imitation
    page.paragraph(f"In words: {fidelity_words(spec, mind)}")
    items = "".join(
        f"<li>{escape(one.when)}: <b>{escape(one.what)}</b> ({one.covers} of {escape(spec.period)}s)</li>"
        for one in told.sentences
    )
    page.html(f'<ol class="rules">{items}</ol>')
    page.paragraph(fidelity_note(spec, mind), "note")


def fidelity_words(spec: MarketSpec, mind: Mind) -> str:
    """How faithful the sentences are, in one sentence."""
    told, kept = mind.imitation, mind.imitation.fidelity
    how = "price" if not spec.stocked else "price and order"
    many = "this one sentence says" if len(told.sentences) == 1 else f"these {len(told.sentences)} sentences say"
    text = f"{many} what {mind.player.name} does in {_percent(kept.both)} of {spec.period}s ({how} both close)."
    if not spec.stocked:
        text = text.replace(" (price both close)", " (price close)")
    if len(told.sentences) > 1:
        text += f" Its usual decision alone would in {_percent(kept.single)}."
    if mind.deeper.fidelity.both > kept.both + 0.005:
        text += f" {len(mind.deeper.sentences)} sentences would in {_percent(mind.deeper.fidelity.both)}."
    return text


def fidelity_note(spec: MarketSpec, mind: Mind) -> str:
    """How fidelity is measured, and R squared."""
    told, kept = mind.imitation, mind.imitation.fidelity
    close = f"Price within 1 %: {_percent(kept.price_close)}"
    r2 = f"R² of the price {_r2(kept.price_r2)}"
    if kept.order_close is not None:
        close += f"; order within 5 % of the mean inventory position after ordering: {_percent(kept.order_close)}"
        r2 += f", of the order {_r2(kept.order_r2)}"
    text = (
        f"{close}; {r2} (1 is perfect, 0 no better than the mean). A decision tree of depth {told.depth} imitates the "
        f"policy; it was grown on {told.grown_on:,} situations and is measured on {told.held_out:,} of other episodes."
    )
    return f"{text} The policy remembers earlier periods, which the sentences leave out." if mind.chart.memory else text


def _percent(share: float) -> str:
    return f"{share:.1%}".replace("%", " %") if share < 1 else "100 %"


def _r2(value: float | None) -> str:
    return f"{DASH} (it hardly varies)" if value is None else number(value, "{:.2f}")


def _no_reaction(spec: MarketSpec, mind: Mind) -> str:
    if not mind.importances:
        return (
            f"Nothing that {mind.player.name} sees varies in these situations, so it cannot be said what it looks at."
        )
    most = max(one.price for one in mind.importances)
    level = max((one.level or 0.0 for one in mind.importances), default=0.0)
    stock = f" and its order-up-to level by {small(level)} units" if spec.stocked else ""
    return (
        f"{mind.player.name} hardly reacts to anything it sees: shuffling any group of features among situations moves "
        f"its price by at most {small(most)}{stock} on average."
    )
