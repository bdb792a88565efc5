"""What `bazaar tune` searches: paths of options checked against the learners' own models, and trials' values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, cast

from optuna import Trial
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from market.errors import UserError
from market.spec.loading import model_within, parse_model, suggestion
from policies.config.learners import KINDS
from policies.config.run import RunConfig, Training, parse_run
from policies.config.search_space import Dimension
from policies.learners.build import check_learner, learner_name

Space = dict[str, BaseDistribution]
Values = dict[str, Any]
PLAIN = (bool, int, float, str, type(None))


def search_space(configs: Mapping[str, RunConfig], learner: str | None = None) -> Space:
    """The options of all configurations' ``tune:`` sections with their distributions, in the order given.

    Args:
        configs: by what messages call them.
        learner: only options of this learner, which sits in every learning seat.

    Raises:
        UserError: a path that is no option, values that the option does not take, two different declarations.
    """
    found: dict[str, tuple[str, Dimension]] = {}
    for name, config in configs.items():
        for path, dimension in config.tune.items():
            where = f"{name}: tune.{path}"
            if learner is None or path.split(".")[:2] == ["learners", learner] or path.startswith("training."):
                if found.get(path, (name, dimension))[1] != dimension:
                    raise UserError(f"{where}: is declared otherwise in {found[path][0]}")
                found.setdefault(path, (name, dimension))
            option_of(config, path, where)
    if not found:
        of = f" of {learner}" if learner else ""
        example = "{learners.dqn.lr: {log: [1e-4, 1e-2]}}"
        raise UserError(f"{', '.join(configs)}: tune: declares no option{of} to search, such as {example}")
    for path, (name, _) in found.items():
        _refuse_idle(configs, path, f"{name}: tune.{path}")
    return {
        path: _distribution(configs[name], path, one, f"{name}: tune.{path}") for path, (name, one) in found.items()
    }


def _refuse_idle(configs: Mapping[str, RunConfig], path: str, where: str) -> None:
    """Raise :class:`UserError` for an option of a learner that sits nowhere: all trials would be the same."""
    top, name, *_ = path.split(".")
    players = [player for config in configs.values() for player in config.seats.values()]
    playing = {one for player in players if (one := learner_name(player, where)) is not None}
    if top == "learners" and playing and name not in playing:
        raise UserError(
            f"{where}: no seat has {name}, so nothing depends on it (the learners are {', '.join(sorted(playing))}; "
            f"--learner {name} puts it in every learning seat)"
        )


def option_of(config: RunConfig, path: str, where: str) -> FieldInfo:
    """The option that a path such as ``learners.dqn.lr``, ``seats.left.lr`` or ``training.markets`` leads to."""
    top, *keys = path.split(".")
    if top == "training" and keys == ["markets"]:
        return Training.model_fields["markets"]
    if top == "learners" and len(keys) > 1:
        if keys[0] not in KINDS:
            raise UserError(f"{where}: unknown learner {keys[0]!r}; the learners are {', '.join(KINDS)}")
        return _field(KINDS[keys[0]].options, keys[1:], where)
    if top == "seats" and len(keys) > 1:
        player = config.seats.get(keys[0])
        chosen = learner_name(player, where) if player is not None else None
        if chosen is None or not isinstance(player, dict):
            raise UserError(f"{where}: seats.{keys[0]} has no learner with options of its own ({{learner: dqn, ...}})")
        return _field(KINDS[chosen].options, keys[1:], where)
    raise UserError(f"{where}: must be learners.NAME.OPTION, seats.SELLER.OPTION or training.markets")


def _field(model: type[BaseModel], keys: Sequence[str], where: str) -> FieldInfo:
    first, *rest = keys
    if first not in model.model_fields:
        raise UserError(f"{where}: unknown option {first!r}{suggestion(first, model.model_fields)}")
    field = model.model_fields[first]
    if not rest:
        return field
    within = model_within(field.annotation)
    if within is None:
        raise UserError(f"{where}: {first} has no keys")
    return _field(within, rest, where)


def _distribution(config: RunConfig, path: str, dimension: Dimension, where: str) -> BaseDistribution:
    field = option_of(config, path, where)
    taken = [_taken(field, value, where) for value in dimension.examples]
    if dimension.ends is None:
        return CategoricalDistribution([_coded(value) for value in dimension.choice or ()])
    whole = all(isinstance(value, int) and not isinstance(value, bool) for value in taken)
    if not whole and any(not isinstance(value, float) for value in taken):
        raise UserError(f"{where}: takes no numbers, so it needs choice")
    low, high = taken
    log, step = dimension.log is not None, dimension.step
    if whole:
        return IntDistribution(int(low), int(high), log=log, step=int(step or 1))
    return FloatDistribution(float(low), float(high), log=log, step=None if step is None else float(step))


def _taken(field: FieldInfo, value: Any, where: str) -> Any:
    """The value as the option takes it."""
    kind: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        rule = error.errors()[0]["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
        raise UserError(f"{where}: {rule} (got {value!r})") from None


# ------------------------------------------------------------------------------------------------ values of a trial


def _coded(value: Any) -> Any:
    """A choice as Optuna can store it: lists and mappings as JSON text."""
    return value if isinstance(value, PLAIN) else json.dumps(value)


def _decoded(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value[:1] in "[{" else value


def suggest(trial: Trial, space: Space) -> Values:
    """The trial's value of every option, by path."""
    found: Values = {}
    for path, one in space.items():
        if isinstance(one, IntDistribution):
            found[path] = trial.suggest_int(path, one.low, one.high, step=one.step, log=one.log)
        elif isinstance(one, FloatDistribution):
            found[path] = trial.suggest_float(path, one.low, one.high, step=one.step, log=one.log)
        else:
            found[path] = _decoded(trial.suggest_categorical(path, cast(CategoricalDistribution, one).choices))
    return found


def decoded(params: Mapping[str, Any]) -> Values:
    """A stored trial's parameters as options take them."""
    return {path: _decoded(value) for path, value in params.items()}


def present_values(config: RunConfig, space: Space) -> dict[str, Any]:
    """The values that the configuration has now, as Optuna stores them, of those options whose space holds them."""
    values = {path: _coded(_present(config, path)) for path in space}
    return {path: value for path, value in values.items() if _holds(space[path], value)}


def _present(config: RunConfig, path: str) -> Any:
    top, name, *keys = path.split(".")
    if top == "training":
        return config.training.markets
    own = dict(config.seats[name]) if top == "seats" else {}
    learner = own.pop("learner") if top == "seats" else name
    options = parse_model(KINDS[learner].options, config.learners.get(learner, {}) | own, f"learners.{learner}")
    value: Any = options.model_dump(mode="json")
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _holds(one: BaseDistribution, value: Any) -> bool:
    if isinstance(one, CategoricalDistribution):
        return value in one.choices
    return isinstance(value, int | float) and one._contains(value)


def with_values(config: RunConfig, values: Values, where: str) -> RunConfig:
    """The configuration with these options; raises :class:`UserError` where they contradict one another."""
    data = config.dump()
    for path, value in values.items():
        *parents, last = path.split(".")
        node = data
        for key in parents:
            node[key] = node.get(key) or {}
            node = node[key]
        node[last] = value
    return parse_run(data, where)


def everywhere(config: RunConfig, learner: str) -> RunConfig:
    """The configuration with this learner in every seat that has one, all with the options of ``learners.NAME``."""
    check_learner(learner, "--learner")
    seats = {
        name: learner if learner_name(player, f"seats.{name}") is not None else player
        for name, player in config.seats.items()
    }
    return config.model_copy(update={"seats": seats})
