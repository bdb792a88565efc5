"""From a configuration's ``seats`` and ``learners`` to learners that can sit in the market."""

from __future__ import annotations

from typing import Any

from market.batch import MarketBatch
from market.decisions import Decisions
from market.errors import Refusal
from market.spec import parse_model
from policies.config import RunConfig
from policies.learners import BUILDERS, Learner, build_learner


def learner_name(player: Any) -> str | None:
    """The learner that a seat's entry asks for, or None where it gives rules of a fixed competitor."""
    if isinstance(player, dict) and "learner" in player:
        name = player["learner"]
        if name not in BUILDERS:
            raise Refusal(f"learner: unknown learner {name!r}; the learners are {', '.join(BUILDERS)}")
        return str(name)
    return player if isinstance(player, str) and player in BUILDERS else None


def make_learner(
    config: RunConfig, seat: int, player: Any, device: str, seed: int
) -> tuple[Learner, Decisions]:
    """The learner of a seat's entry, with the options of ``learners.NAME`` and the seat's own on top.

    Raises :class:`Refusal` with the key's path when options or the seat's decisions do not suit the learner.
    """
    name = learner_name(player)
    assert name is not None
    own = {key: value for key, value in player.items() if key != "learner"} if isinstance(player, dict) else {}
    where = f"seats.{config.market.names[seat]}" if own else f"learners.{name}"
    builder = BUILDERS[name]
    options = parse_model(builder.options, {**config.learners.get(name, {}), **own}, where)
    wanted = config.market.sellers[seat].actions
    decisions = Decisions(config.market, seat, wanted if wanted in builder.encodings else builder.encodings[0])
    try:
        learner = build_learner(
            name,
            options,
            observation_space=MarketBatch(config.market, 1).observation_space,
            action_space=decisions.space,
            rows=config.training.markets,
            device=device,
            seed=seed,
        )
    except ValueError as error:
        raise Refusal(f"{where}: {error}") from None
    return learner, decisions


def refuse_unknown_learners(config: RunConfig) -> None:
    """Raise :class:`Refusal` for options of a learner that does not exist."""
    for name in config.learners:
        if name not in BUILDERS:
            raise Refusal(f"learners.{name}: unknown learner; the learners are {', '.join(BUILDERS)}")
