"""A log of decisions that were answered by a rule, with a policy's beside them."""

from __future__ import annotations

from pathlib import Path

from policies.serving.log import DecisionLog, Request, url_of


def in_shadow(db: Path, run: Path) -> None:
    """Two decisions of left in a duopoly."""
    log = DecisionLog(url_of(str(db)))
    state = {"on_hand": 20, "price": 1.8, "sold": 5, "rivals": {"right": {"price": 1.8}}}
    shadow = {"price": 1.9, "order": 1e6, "by": "policy"}
    answer = {"price": 1.8, "order": 9.0, "by": "rule (nash): shadow", "shadow": shadow}
    log.add("left", str(run), Request(None, "0"), [state] * 2, [answer] * 2)
    log.close()
