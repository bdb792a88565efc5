"""Champion and challenger: the seller in force and the one that learned on, in the same seat on the same customers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from market.spec.models import MarketSpec, SellerSpec, TapeOptions
from market.state import Floats
from policies.common.progress import Tick
from policies.common.seeding import row_seed
from policies.evaluation.compare import compare, gap_interval
from policies.evaluation.line_ups import LineUps
from policies.evaluation.run_sellers import RunSellers
from policies.evaluation.statistics import Interval, mean_interval
from policies.sellers.checkpoint import SavedSeller
from policies.sellers.protocol import Seller
from policies.sellers.rollout import play
from policies.sellers.rules.compose import parse_rules

EPISODES, REPLAYS = 2048, 512
CHAMPION, CHALLENGER = "champion", "challenger"


@dataclass(frozen=True)
class Judged:
    """One comparison: profit a period of both, money, and the challenger's advantage, paired."""

    where: str
    champion: float
    challenger: float
    gap: Interval


def in_the_market(champion: SavedSeller, challenger: SavedSeller, run: RunSellers, seed: int, tick: Tick) -> Judged:
    """Both among the rivals that the challenger learned among, in the market that it learned in; episodes are the sample."""
    spec, seat = run.spec.certain, challenger.seat
    both = _both(champion, challenger, spec)
    old, new = compare(spec, seat, both, list(both), run.sellers, run.config.evaluation, seed, EPISODES, tick)
    return Judged("the market as it is now", old.mean, new.mean, gap_interval(new, old))


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
    """Both in the periods from ``held`` on of a sales file: its customers, its shocks, its rivals' prices.

    They happened once: however many customers are drawn, the periods are the sample, as if each were by itself.
    """
    spec, seat, profits = replayed(run.spec, file, periods), challenger.seat, dict[str, Floats]()
    rivals = recorded_rivals(run, spec)
    for name, seller in _both(champion, challenger, spec).items():
        tick(name, 0)
        players = [seller if k == seat else rival for k, rival in enumerate(rivals)]
        profits[name] = earned(spec, players, seat, row_seed(seed, "evaluate"))[held:]
        tick(name, REPLAYS)
    old, new = profits[CHAMPION], profits[CHALLENGER]
    where = f"the newest {len(old)} {spec.period}s on record"
    return Judged(where, float(old.mean()), float(new.mean()), mean_interval(new - old))


def earned(spec: MarketSpec, players: list[Seller], seat: int, seed: int) -> Floats:
    """A seat's profit of each period (T,), money, mean over customers; what is in stock counts at its cost until it is sold.

    Orders of 10 units at 2, sold 4 at 3: 12 - 20 + 2 (10 - 4) = 4.
    """
    ledger = play(spec, players, markets=REPLAYS, seed=seed, fields=("profit", "purchase_cost", "sold"))
    own = {name: ledger[name][:, :, seat].astype(float) for name in ledger.dtype.names or ()}
    kept = own["purchase_cost"] - spec.sellers[seat].unit_cost * own["sold"]
    return np.asarray((own["profit"] + kept).mean(axis=1))


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


def better(market: Judged, record: Judged) -> tuple[bool, str]:
    """Whether the challenger is to take over, and why: ahead in the market beyond chance, and not behind on record."""
    if market.gap.low == market.gap.high == record.gap.value == 0:
        return False, "learning found nothing better than where it began (--budget: how long it learns)"
    if market.gap.sign <= 0:
        return False, "it is not told to be better in the market as it is now"
    if record.gap.sign < 0:
        return False, "it is better in the market as it is now, and worse in the newest periods on record"
    return True, "it is better in the market as it is now, and not worse on record"
