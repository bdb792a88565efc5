"""Champion and challenger: the seller in force and the one that learned on, in the same seat on the same customers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from market.spec.models import MarketSpec, SellerSpec, TapeOptions
from policies.common.progress import Tick
from policies.evaluation.compare import Result, compare, gap_interval
from policies.evaluation.line_ups import LineUps
from policies.evaluation.run_sellers import RunSellers
from policies.evaluation.statistics import Interval
from policies.sellers.checkpoint import SavedSeller
from policies.sellers.protocol import Seller
from policies.sellers.rules.compose import parse_rules

EPISODES, REPLAYS = 2048, 512
CHAMPION, CHALLENGER = "champion", "challenger"


@dataclass(frozen=True)
class Judged:
    """One comparison: profit a period of both, and the challenger's advantage, paired."""

    where: str
    champion: Result
    challenger: Result

    @property
    def gap(self) -> Interval:
        """Challenger less champion, money a period."""
        return gap_interval(self.challenger, self.champion)


def in_the_market(champion: SavedSeller, challenger: SavedSeller, run: RunSellers, seed: int, tick: Tick) -> Judged:
    """Both among the rivals that the challenger learned among, in the market that it learned in."""
    spec, seat = run.spec.certain, challenger.seat
    both = _both(champion, challenger, spec)
    found = compare(spec, seat, both, list(both), run.sellers, run.config.evaluation, seed, EPISODES, tick)
    return Judged("the market as it is now", *found)


def on_record(
    champion: SavedSeller,
    challenger: SavedSeller,
    run: RunSellers,
    file: Path,
    held: int,
    periods: int,
    seed: int,
    tick: Tick,
) -> Judged:
    """Both in the periods from ``held`` on of a sales file: its customers, its shocks, its rivals' prices."""
    spec = replayed(run.spec, file, periods)
    seat, settings = challenger.seat, run.config.evaluation.model_copy(update={"warm_up": held})
    rivals: list[Seller] = recorded_rivals(run, spec)
    both = _both(champion, challenger, spec)
    found = compare(spec, seat, both, list(both), rivals, settings, seed, REPLAYS, tick)
    return Judged(f"the newest {periods - held} {spec.period}s on record", *found)


def _both(champion: SavedSeller, challenger: SavedSeller, spec: MarketSpec) -> dict[str, Seller]:
    """On an equal footing: both as sellers that were trained elsewhere."""
    named = {CHAMPION: champion, CHALLENGER: challenger}
    return {name: one.sit(spec, challenger.seat, adapt=True) for name, one in named.items()}


def replayed(spec: MarketSpec, file: Path, periods: int) -> MarketSpec:
    """The market that replays the first ``periods`` of a sales file, with ranges that hold the prices on record."""
    tape = TapeOptions(file=str(file))
    sellers = tuple(_holding(one) for one in spec.sellers)
    plain = {"tape": tape, "horizon": periods, "sellers": sellers, "uncertainty": "off", "draws": ()}
    return spec.model_copy(update=plain)


def _holding(seller: SellerSpec) -> SellerSpec:
    (low, high), on_file = seller.prices, seller.prices_on_file
    if on_file is None:
        return seller
    return seller.model_copy(update={"prices": (min(low, on_file[0]), max(high, on_file[1]))})


def recorded_rivals(run: RunSellers, spec: MarketSpec) -> list[Seller]:
    """Every seat at the prices on record, with stock for what was sold."""
    line_ups = LineUps(run.config.model_copy(update={"market": spec}), run.seed)
    history = parse_rules("history", "seats", spec)
    return [line_ups.fixed(history, seat) for seat in range(len(spec.sellers))]


def better(market: Judged, record: Judged | None) -> tuple[bool, str]:
    """Whether the challenger is to take over, and why: ahead in the market beyond chance, and not behind on record."""
    if market.gap.sign <= 0:
        return False, "it is not told to be better in the market as it is now"
    if record is not None and record.gap.sign < 0:
        return False, "it is better in the market as it is now, and worse in the newest periods on record"
    return True, "it is better in the market as it is now" + (", and not worse on record" if record is not None else "")
