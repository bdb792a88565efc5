"""What the entries of a tournament name: a market, and rules. Brings nothing that learns or plays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from market.errors import UserError
from market.spec.models import MarketSpec
from policies.config.run import RunConfig, read_config
from policies.sellers.rules.compose import Rules, parse_rules
from policies.storage.run_folder import open_run, refuse_no_run


def markets_of(entries: Sequence[str], config: Path | None) -> dict[Path, RunConfig]:
    """The configuration given and those of the runs among the entries, by path; the first says what is played.

    Raises :class:`UserError` where there is none, and for an entry that is neither a run nor rules.
    """
    for entry in entries:
        refuse_no_run(entry)
    found = {config: read_config(config)} if config else {}
    found |= {Path(entry): open_run(Path(entry)) for entry in entries if Path(entry).is_dir()}
    if not found:
        raise UserError("tournament: rules alone do not say which market: give --config FILE or a run")
    return found


def entry_rules(text: str, number: int, market: MarketSpec) -> Rules:
    """The rules of an entry that is no folder."""
    try:
        return parse_rules(text, f"entry {number}", market)
    except UserError as problem:
        raise UserError(f"{problem} (and there is no folder {text})") from None
