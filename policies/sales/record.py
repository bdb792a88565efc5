"""`bazaar record`: what a market sells, as a sales file: to try calibration without data, or to see what it recovers."""

from __future__ import annotations

from collections.abc import Iterator

from market.errors import UserError
from market.simulation.batch import MarketBatch
from market.state import Record
from policies.common.files import refuse_unwritable, write_csv
from policies.common.results import WrittenRecords
from policies.config.command import ordered_by
from policies.config.orders import RecordOrder
from policies.config.run import read_config
from policies.sellers.rollout import play
from policies.sellers.rules.level_search import build


class RecordedSales(WrittenRecords):
    """A sales file that was written: a row a period, market and seller."""


@ordered_by(RecordOrder)
def record(order: RecordOrder) -> RecordedSales:
    """Carry out `bazaar record`: play one episode and write a row for each period, market and seller; units are what was sold.

    Raises :class:`UserError` for a file that would be written over, and rules that cannot play.

    Example::

        from policies import record

        print(record("orange_juice", output="sales.csv", markets=1).to_frame().head())
    """
    refuse_unwritable(order.output, order.force)
    spec = read_config(order.config, order.changes).market
    if order.periods is not None and order.periods > spec.horizon:
        raise UserError(f"--periods {order.periods}: the market's horizon is {spec.horizon}")
    batch = MarketBatch(spec, order.markets, order.seed)
    sellers = [build(order.rules, spec, seat, where="--rules") for seat in range(len(spec.sellers))]
    ledger = play(batch, sellers, order.periods, fields=("price", "sold", "lost"))
    write_csv(order.output, _rows(batch, ledger), "\n")
    _say(order, ledger)
    return RecordedSales(order.output)


def _rows(batch: MarketBatch, ledger: Record) -> Iterator[dict[str, object]]:
    cost = [seller.unit_cost for seller in batch.spec.sellers]
    names, events = batch.spec.names, batch.tape.event if batch.spec.events else None
    for t, period in enumerate(ledger):
        for m, row in enumerate(period):
            for seat, name in enumerate(names):
                sold = row["sold"][seat]
                units = int(sold) if float(sold).is_integer() else round(float(sold), 6)
                found: dict[str, object] = {"period": t, "market": f"m{m}", "seller": name}
                found |= {"price": round(float(row["price"][seat]), 4), "units": units, "cost": cost[seat]}
                yield found if events is None else found | {"promo_event": int(events[m, t, seat])}


def _say(order: RecordOrder, ledger: Record) -> None:
    lost = float(ledger["lost"].sum() / max(ledger["lost"].sum() + ledger["sold"].sum(), 1e-300))
    order.console.print(f"Written: {order.output}: {ledger.size:,} rows", highlight=False, markup=False)
    if lost > 0.01:
        text = f"{lost:.1%} of the units wanted were not in stock: the file has what was sold, as real files do"
        order.console.print(text, highlight=False, markup=False, style="yellow")
