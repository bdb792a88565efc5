"""A run's configuration: the market, who sits where, how long to train and how to evaluate.

Learners' options are checked where they are built (``policies.learners.registry``), so that evaluating needs no Tianshou.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny, field_validator, model_validator

from market.errors import UserError
from market.spec.builtin import find
from market.spec.loading import find_tape, parse_model, read_yaml, short
from market.spec.models import MarketSpec, Model
from market.spec.plain_yaml import plain_data
from policies.config.fields import Count, Periods, Rows, number
from policies.config.rails import Rails
from policies.config.rivals import TrainedRival, pinned_rival, trained_rival
from policies.config.search_space import Dimension, flatten
from policies.config.selfplay import IndependentOptions, SelfPlayOptions, parse_mode

Number = Annotated[float, BeforeValidator(number)]


LEAST_BUDGET, A_SELLER = 3_000_000, 1_000_000  # seller-periods in all, and for each seller of the market


class Training(Model):
    """How long and on how many parallel rows."""

    budget: Count = Field(
        LEAST_BUDGET,
        description="seller-periods: one seller, one period, one market; left out: 1,000,000 a seller, 3,000,000 at least",
    )
    markets: Rows = Field(256, description="markets side by side")
    evaluations: Count = Field(
        15,
        description="evaluations against fixed competitors on the way, evenly over the run after one of beginners; the best is "
        "kept; 1: at the end alone, which is the least",
    )
    evaluation_episodes: Rows = Field(128, description="episodes of each")
    start: Literal["rules", "middle"] = Field(
        "rules",
        description="where a2c and ddpg begin in a box of decisions: at the Nash price and the level that theory gives the "
        "seat, or in the middle of its ranges",
    )


class Evaluation(Model):
    """How sellers are evaluated."""

    episodes: Count = Field(4096, description="episodes at most")
    precision: Number = Field(
        0.005,
        gt=0,
        lt=1,
        description="playing stops once the 95 % interval of the difference to the best fixed competitor is narrower than "
        "this share of profit",
    )
    warm_up: Periods = Field(10, description="periods that are not counted")
    salvage: Number = Field(
        1.0, ge=0, le=1, description="share of unit cost at which opening and closing stock are valued"
    )
    risk_level: Number = Field(0.05, gt=0, lt=1, description="share of the worst outcomes that VaR and CVaR are of")
    line_ups: tuple[Any, ...] = Field(
        (),
        description="rules of all rivals of the evaluated seat; none: Nash prices, ordered as does best in the market",
    )
    competitors: tuple[Any, ...] = Field((), description="rules tried in the evaluated seat; none: the usual ones")
    panel: tuple[Any, ...] = Field((), description="line-ups of --against panel; none: five")


class RunConfig(Model):
    """Everything that decides a run, but the seed and the device."""

    market: MarketSpec = Field(description="the market")
    seats: dict[str, Any] = Field(
        default_factory=dict,
        description="by seller: a learner, alone or with options as {learner: dqn, gamma: 0.99}, a fixed competitor's "
        "rules, or another run's seller as {run: runs/first, seller: left}; who is left out plays Nash prices",
    )
    learners: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="options by learner, for all its seats"
    )
    selfplay: SerializeAsAny[SelfPlayOptions] = Field(
        IndependentOptions(), description="who learns against whom: a mode, alone or with options"
    )
    training: Training = Field(Training(), description="how long")
    evaluation: Evaluation = Field(Evaluation(), description="how sellers are evaluated")
    rails: dict[str, Rails] = Field(
        default_factory=dict, description="by seller: what `bazaar decide` keeps its decisions within"
    )
    tune: Annotated[dict[str, Dimension], BeforeValidator(flatten)] = Field(
        default_factory=dict, description="what `bazaar tune` searches: by option's path its values"
    )

    @model_validator(mode="before")
    @classmethod
    def _budget_for_all(cls, given: Any) -> Any:
        """What is left out depends on how many sellers there are: each learns from its own periods only."""
        market, training = (
            (given.get(key) for key in ("market", "training")) if isinstance(given, dict) else (None, None)
        )
        if not isinstance(market, MarketSpec) or not (training is None or isinstance(training, dict)):
            return given
        return {**given, "training": {"budget": max(LEAST_BUDGET, A_SELLER * len(market.sellers)), **(training or {})}}

    @field_validator("seats")
    @classmethod
    def _not_empty(cls, seats: dict[str, Any]) -> dict[str, Any]:
        for name, player in seats.items():
            if not isinstance(player, (str, dict)) or not player:
                raise ValueError(f"{name} must be a learner's name, pricing + replenishment rules, or {{run: FOLDER}}")
        return seats

    @model_validator(mode="after")
    def _seats_exist(self) -> RunConfig:
        unknown = [name for name in self.seats if name not in self.market.names]
        if unknown:
            raise ValueError(f"seats.{unknown[0]}: no such seller; the market has {', '.join(self.market.names)}")
        unknown = [name for name in self.rails if name not in self.market.names]
        if unknown:
            raise ValueError(f"rails.{unknown[0]}: no such seller; the market has {', '.join(self.market.names)}")
        if self.evaluation.warm_up >= self.market.horizon:
            raise ValueError(
                f"evaluation.warm_up: {self.evaluation.warm_up} periods leave nothing of a market.horizon of "
                f"{self.market.horizon}"
            )
        return self

    def player(self, seat: int) -> Any:
        """The entry of a seat, or what sits in one that ``seats`` does not name."""
        return self.seats.get(self.market.names[seat], usual_player(self.market, seat))

    def rival(self, seat: int) -> TrainedRival | None:
        """The seller of another run that takes a seat, None where nobody of another run does."""
        return trained_rival(self.player(seat), self.market.names[seat])

    def dump(self) -> dict[str, Any]:
        """Plain data that :func:`parse_run` reads back."""
        unused = {name for name in ("tune", "rails") if not getattr(self, name)}
        data = self.model_dump(mode="json", exclude_none=True, exclude=unused)
        return data | {"market": self.market.dump()}


def usual_player(market: MarketSpec, seat: int) -> str:
    """Who sits in a seat where nothing is said of it: Nash prices, and orders that suit their costs and the calendar."""
    if not market.stocked:
        return "nash"
    if market.sellers[seat].order_cost > 0:
        return "nash+min_max"
    from market.theory.seasonal import knows_ahead  # brings scipy, which only stocked markets need

    return "nash+seasonal_base_stock" if knows_ahead(market) else "nash+base_stock"


def seats_called(name: str | None, spec: MarketSpec, option: str = "--seat") -> list[int]:
    """The seat of a seller's name, all seats for None; raise :class:`UserError` when nobody is called so."""
    if name is not None and name not in spec.names:
        raise UserError(f"{option} {name}: the market's sellers are {', '.join(spec.names)}")
    return [seat for seat, its in enumerate(spec.names) if name in (None, its)]


def parse_run(data: object, where: str) -> RunConfig:
    """Build a configuration from plain data; raise :class:`UserError` with the key's path when it does not fit."""
    if isinstance(data, dict) and "market" in data:
        data = data | {"market": MarketSpec.parse(data["market"], f"{where}: market")}
    if isinstance(data, dict) and data.get("selfplay") is not None:
        data = data | {"selfplay": parse_mode(data["selfplay"], f"{where}: selfplay")}
    try:
        return parse_model(RunConfig, data, where)
    except UserError as problem:
        # parse_model joins with dots, which would make the file's name look like a key.
        lines = [line.replace(f"{where}.", f"{where}: ", 1) for line in str(problem).split("\n")]
        raise UserError("\n".join(lines)) from None


def read_config(path: str | Path, changes: Iterable[str] = ()) -> RunConfig:
    """Read a YAML file, or a built-in one by name, and apply ``key.path=value`` changes before anything is checked.

    Raises :class:`UserError`, whose lines name the file, or ``--set CHANGE`` for what is right without it.
    """
    path = find(path)
    data = read_yaml(path)
    find_tape(data.get("market"), path)
    places = {change: set_value(data, change) for change in changes}
    try:
        config = _with_history(parse_run(data, str(path)), str(path))
        seats = {name: pinned_rival(entry, name, path) for name, entry in config.seats.items()}
    except UserError as problem:
        raise (_attributed(problem, path, places) if places else problem) from None
    return config if seats == config.seats else config.model_copy(update={"seats": seats})


def _attributed(problem: UserError, path: Path, places: dict[str, str]) -> UserError:
    """A mistake with every line that the file alone has not, under the changes that it comes from.

    ``places``: the changed keys by change.
    """
    own = set[str]()
    try:
        read_config(path)
    except UserError as alone:
        own = set(str(alone).split("\n"))
    lines = str(problem).split("\n")
    return UserError("\n".join(line if line in own else _under_change(line, f"{path}: ", places) for line in lines))


def _under_change(line: str, file: str, places: dict[str, str]) -> str:
    said = line.removeprefix(file)
    key = f"{said.partition(': ')[0]}."
    inside = [change for change, place in places.items() if key.startswith(f"{place}.")]
    around = [change for change, place in places.items() if f"{place}.".startswith(key)]
    return f"{', '.join(f'--set {short(change)}' for change in inside or around or places)}: {said}"


def _with_history(config: RunConfig, where: str) -> RunConfig:
    """The configuration with the fingerprint of the sales file that it replays, which is checked here."""
    if config.market.tape is None or config.market.tape.sha256 is not None:
        return config
    from market.demand.history import pinned  # brings pandas, which only a market with a history needs

    try:
        return config.model_copy(update={"market": pinned(config.market)})
    except UserError as problem:
        raise UserError(f"{where}: {problem}") from None


def set_value(data: dict[str, Any], change: str) -> str:
    """Apply one ``key.path=value``; the value is YAML. Returns the key's path with numbers for items of lists.

    Sellers may be named by number or by name. A name or key that is there and has dots itself counts as one, the longest first; in ``seats`` also the name of a
    seller of the market that has no entry yet.
    Example: ``market.sellers.left.unit_cost=1.2``, ``seats.minute.maid=history``.
    """
    path, equals, text = change.partition("=")
    if not equals or not path:
        raise UserError(f"--set {short(change)}: must be key.path=value")
    try:
        value = plain_data(text)
        _refuse_joined(value)
    except UserError as problem:
        spaced = "; a colon needs a space after it: {lr: 0.001}" if "unexpected ':'" in str(problem) else ""
        raise UserError(f"--set {short(change)}: the value {problem}{spaced}") from None
    node: Any = data
    place = list[Any]()
    known, rest = _names(data), path
    while True:
        part = _first(rest, known)
        if not part or rest == f"{part}.":
            raise UserError(f"--set {short(change)}: must be key.path=value, no key empty")
        if part == rest:
            break
        rest = rest[len(part) + 1 :]
        place.append(_key(node, part, f"--set {path[: -len(rest) - 1]}"))
        node = _descend(node, part, f"--set {path[: -len(rest) - 1]}")
        known = _names(node) + (_sellers(data) if node is data.get("seats") else [])
    at = _key(node, part, f"--set {path}")
    node[at] = value
    return ".".join(map(str, [*place, at]))


def _refuse_joined(value: Any) -> None:
    """Raise :class:`UserError` for ``{a:1}``, which YAML reads as a key ``a:1`` without a value."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else []):
        if isinstance(key, str) and inner is None and ":" in key:
            name, _, rest = key.partition(":")
            raise UserError(f"needs a space after the colon ({name}: {rest}); YAML reads {key} as one word")
        _refuse_joined(inner)


def _first(path: str, known: list[str]) -> str:
    """The part that a path begins with: the longest of the ``known`` ones, else all up to the first dot."""
    fitting = [name for name in known if f"{path}.".startswith(f"{name}.")]
    return max([path.partition(".")[0], *fitting], key=len)


def _names(node: Any) -> list[str]:
    """The keys of a mapping, or the names of a list's items."""
    named = node if isinstance(node, dict) else [item.get("name") for item in node if isinstance(item, dict)]
    return [name for name in named if isinstance(name, str)]


def _sellers(data: dict[str, Any]) -> list[str]:
    """The names of the market's sellers, as far as they are there: nothing has been checked yet."""
    market = data.get("market")
    sellers = market.get("sellers") if isinstance(market, dict) else None
    return _names(sellers) if isinstance(sellers, list) else []


def _descend(node: Any, part: str, where: str) -> Any:
    """The mapping or list under ``part``; a key that is missing or empty becomes a mapping."""
    at = _key(node, part, where)
    if isinstance(node, dict) and node.get(part) is None:
        node[part] = {}
    if not isinstance(node[at], (dict, list)):
        raise UserError(f"{where}: is the value {node[at]!r}, it has no keys")
    return node[at]


def _key(node: Any, part: str, where: str) -> Any:
    """What a part of a path is called in a mapping, or its number in a list."""
    return _index(node, part, where) if isinstance(node, list) else part


def _index(items: list[Any], part: str, where: str) -> int:
    for k, item in enumerate(items):
        if part == str(k) or (isinstance(item, dict) and item.get("name") == part):
            return k
    names = [str(item["name"]) if isinstance(item, dict) and "name" in item else str(k) for k, item in enumerate(items)]
    raise UserError(f"{where}: no item {part!r} among {', '.join(names) or 'none'}")
