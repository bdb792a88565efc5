"""From a configuration's ``seats`` and ``learners`` to learners that can sit in the market.

Reading a configuration brings neither torch nor Tianshou: mistakes are told before.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from market.errors import UserError
from market.simulation.decisions import Decisions
from market.spec.loading import parse_model
from market.spec.models import MarketSpec
from policies.config.learners import KINDS, LearnerOptions
from policies.config.run import RunConfig
from policies.sellers.rules.base import place
from policies.sellers.rules.compose import parse_rules
from policies.sellers.rules.pricing import PRICING

if TYPE_CHECKING:
    from torch import Tensor

    from policies.learners.base import Learner

# Raised where the same options come to learn otherwise: runs begun before are not gone on with.
RECIPE = 6
MOST_ACTIONS = 10_000
MOST_WEIGHTS = 100_000_000
NOBODY_LEARNS = "seats: no seat has a learner, so there is nothing to train (use bazaar evaluate)"


def learner_name(player: Any, where: str) -> str | None:
    """The learner that a seat's entry asks for, None where it gives rules of a fixed competitor or another run's seller."""
    known = ", ".join(KINDS)
    if isinstance(player, dict) and "learner" in player:
        name = player["learner"]
        if not isinstance(name, str) or name not in KINDS:
            raise UserError(f"{where}.learner: unknown learner {name!r}; the learners are {known}")
        return name
    if isinstance(player, dict) and not {"pricing", "run"} & player.keys():
        keys = ", ".join(map(str, player))
        raise UserError(f"{where}: needs the key learner ({known}), pricing or run; it has {keys or 'none'}")
    if not isinstance(player, str):
        return None
    if player in KINDS:
        return player
    if player.isidentifier() and player not in PRICING:
        raise UserError(f"{where}: {player!r} is neither a learner ({known}) nor a pricing rule ({', '.join(PRICING)})")
    return None


def encoding_of(config: RunConfig, seat: int, name: str) -> str:
    """How a learner decides in a seat: as the seat asks, where it can; in a box with a gate where an order costs."""
    seller, able = config.market.sellers[seat], KINDS[name].encodings
    chosen = seller.actions if seller.actions in able else able[0]
    return "gated" if chosen == "box" and config.market.stocked and seller.order_cost > 0 else chosen


def make_learner(
    config: RunConfig, seat: int, player: Any, device: str, seed: int, seats: int = 1, extra: int = 0
) -> tuple[Learner, Decisions]:
    """The learner of a seat's entry, with the options of ``learners.NAME`` and the seat's own on top.

    It plays ``seats`` seats of every row, and sees ``extra`` numbers in [0, 1] after the market's observation.

    Raises :class:`UserError` with the key's path when options or the seat's decisions do not suit the learner.
    """
    from market.simulation.observation import feature_list
    from policies.learners.registry import build_learner
    from policies.learners.seat_theory import usual_observation

    name = learner_name(player, f"seats.{config.market.names[seat]}")
    assert name is not None
    options, own, where = seat_options(config, seat, name, player)
    if options.reward == "minus_best_rival" and len(config.market.sellers) == 1:
        key = f"seats.{config.market.names[seat]}" if "reward" in own else f"learners.{name}"
        raise UserError(f"{key}.reward: minus_best_rival needs a rival, and this market has one seller")
    decisions = Decisions(config.market, seat, encoding_of(config, seat, name))
    _refuse_large_grid(config, seat, decisions)
    _refuse_large_network(options.hidden, _outputs(decisions, options.learned_quantiles), where)
    try:
        learner = build_learner(
            name,
            options,
            observation=len(feature_list(config.market)) + extra,
            action_space=decisions.space,
            rows=config.training.markets * seats,
            device=device,
            seed=seed,
            grid=decisions.axes,
            listed=decisions.listed,
            gate=decisions.encoding == "gated",
            usual=None if extra or config.training.start == "middle" else usual_observation(config.market, seat),
        )
    except (ValueError, RuntimeError, MemoryError) as error:  # torch's lack of memory is a RuntimeError
        raise UserError(f"{where}: {error}") from None
    if options.begin_from is not None:
        with place(f"{where}.begin_from"):
            learner.begin_with(_begun(options.begin_from, learner, decisions, config.market, seat))
    return learner, decisions


def _begun(file: str, learner: Learner, decisions: Decisions, spec: MarketSpec, seat: int) -> dict[str, Tensor]:
    """The weights of a saved seller that sees, and decides, what the learner does."""
    from market.simulation.observation import feature_list  # brings numba
    from policies.sellers.checkpoint import load_seller

    saved = load_seller(file)
    own, here = saved.market.sellers[saved.seat], spec.sellers[seat]
    alike = {
        "network": (saved.architecture, learner.architecture),
        "what it sees": tuple([one.name for one in feature_list(market)] for market in (saved.market, spec)),
        "decisions": (saved.encoding, decisions.encoding),
    }
    alike |= {key: (getattr(own, key), getattr(here, key)) for key in ("prices", "order_up_to", "grid", "center")}
    if other := [name for name, (one, another) in alike.items() if one != another]:
        raise UserError(f"{file}: is a seller of another kind: {', '.join(other)} are not those of this seat")
    return saved.weights


def seat_options(config: RunConfig, seat: int, name: str, player: Any) -> tuple[LearnerOptions, dict[str, Any], str]:
    """The options of a seat's learner, those that the seat gives of its own, and where they stand."""
    own = {key: value for key, value in player.items() if key != "learner"} if isinstance(player, dict) else {}
    where = f"seats.{config.market.names[seat]}" if own else f"learners.{name}"
    options = parse_model(KINDS[name].options, {**config.learners.get(name, {}), **own}, where)
    return options.over(config.training.budget // len(config.market.sellers)), own, where


def what_is_learned(config: RunConfig) -> dict[str, Any]:
    """What decides how a configuration's learners learn, as plain data: every option, those left out among them.

    A run goes on only where this is what it began with: defaults change from version to version, and half of one
    learner with half of another is neither. ``recipe`` is :data:`RECIPE`.
    """
    seats = {}
    for seat, name in enumerate(config.market.names):
        player = config.player(seat)
        if learner := learner_name(player, f"seats.{name}"):
            options = seat_options(config, seat, learner, player)[0].model_dump(mode="json")
            if options["begin_from"] is None:
                del options["begin_from"]  # as runs of versions without it have it
            seats[name] = {"learner": learner, "decides": encoding_of(config, seat, learner), **options}
    return {"recipe": RECIPE, "selfplay": config.selfplay.model_dump(mode="json"), "seats": seats}


def after_profit(config: RunConfig, player: Any) -> Any:
    """A seat's entry for the same learner when it is to want its own mean profit and nothing else."""
    name = learner_name(player, "seats")
    own = player if isinstance(player, dict) else {"learner": name}
    if {"reward", "risk"} & (config.learners.get(name or "", {}).keys() | own.keys()):
        return {**own, "reward": "own", "risk": None}
    return player


def _refuse_large_grid(config: RunConfig, seat: int, decisions: Decisions) -> None:
    if decisions.axes is not None and _actions(decisions) > MOST_ACTIONS:
        raise UserError(
            f"market.sellers.{seat} ({config.market.names[seat]}).grid: {len(decisions.prices)} prices x "
            f"{len(decisions.levels)} levels are {_actions(decisions):,} actions; a learner takes up to {MOST_ACTIONS:,}"
        )


def _outputs(decisions: Decisions, quantiles: int | None) -> int:
    return _actions(decisions) * quantiles if quantiles and decisions.axes is not None else 1


def _actions(decisions: Decisions) -> int:
    """Of a grid."""
    return len(decisions.prices) * len(decisions.levels)


def _refuse_large_network(hidden: tuple[int, ...], outputs: int, where: str) -> None:
    """Before memory is taken: the first layers of a network that does not fit may fill the machine."""
    if sum(one * next_one for one, next_one in pairwise((1, *hidden, outputs))) > MOST_WEIGHTS:
        why = f" with its {outputs:,} outputs (actions x quantiles)" if outputs > 1 else ""
        raise UserError(f"{where}.hidden: {list(hidden)} makes a network of more than {MOST_WEIGHTS:,} weights{why}")


def check_learner(name: str, where: str) -> None:
    """Raise :class:`UserError` for a learner that does not exist; the message begins with ``where``."""
    if name not in KINDS:
        raise UserError(f"{where} {name}: unknown learner; the learners are {', '.join(KINDS)}")


def check_learners(config: RunConfig) -> None:
    """Raise :class:`UserError` for learners that do not exist, and for options that no learner of the name can have."""
    for name, options in config.learners.items():
        if name not in KINDS:
            raise UserError(f"learners.{name}: unknown learner; the learners are {', '.join(KINDS)}")
        parse_model(KINDS[name].options, options, f"learners.{name}")


def check_players(config: RunConfig) -> None:
    """The same for everybody that a configuration names: learners with their options, and rules, in seats and line-ups.

    Whether they can play its market is found out where they are made.
    """
    spec, known = config.market, config.evaluation
    named = [learner_name(config.player(seat), f"seats.{name}") for seat, name in enumerate(spec.names)]
    check_learners(config)
    for seat, name in enumerate(named):
        if name is not None:
            seat_options(config, seat, name, config.player(seat))
        elif config.rival(seat) is None:
            parse_rules(config.player(seat), f"seats.{spec.names[seat]}", spec)
    if not any(named):
        raise UserError(NOBODY_LEARNS)
    for key, listed in (("line_ups", known.line_ups), ("panel", known.panel), ("competitors", known.competitors)):
        for k, rules in enumerate(listed):
            parse_rules(rules, f"evaluation.{key}.{k}", spec)
