"""The tables of all keys in configs/README.md, made from the models: ``python -m tests.house.key_table`` renews them."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from policies.config.learners import A2COptions, DDPGOptions, DQNOptions
from policies.config.rails import Rails
from policies.config.rivals import TrainedRival
from policies.config.run import RunConfig
from policies.config.search_space import Dimension
from policies.config.selfplay import MODES
from policies.sellers.rules.pricing import PRICING
from policies.sellers.rules.replenishment import REPLENISHMENT

README = Path(__file__).parents[2] / "configs" / "README.md"
BEGIN, END = "<!-- python -m tests.house.key_table -->\n", "<!-- end of the keys -->\n"
LEARNERS: dict[str, type[BaseModel]] = {"dqn": DQNOptions, "a2c": A2COptions, "ddpg": DDPGOptions}
HEAD = ("key", "type", "default", "meaning")
WORDS = {
    "number": "number",
    "integer": "whole number",
    "boolean": "true, false",
    "string": "text",
    "object": "mapping",
}
SIGNS = {"[": "≥", "(": ">", "]": "≤", ")": "<"}
HUGE = 1e12
Schema = Mapping[str, Any]
Row = tuple[str, str, str, str]


def tables() -> str:
    """All tables, as they stand in the file."""
    parts = [*_mappings("", RunConfig), _learners()]
    parts.append(_table("seats.SELLER", _purpose(TrainedRival), HEAD, _rows(TrainedRival)))
    parts.append(_table("rails.SELLER", _purpose(Rails), HEAD, _rows(Rails)))
    parts += [_table(f"selfplay: {name}", _purpose(model), HEAD, _rows(model)) for name, model in MODES.items()]
    parts.append(_table("tune.PATH", _purpose(Dimension), HEAD, _rows(Dimension)))
    parts.append(_rules("Pricing rules", PRICING))
    parts.append(_rules("Replenishment rules", REPLENISHMENT))
    return "\n".join(parts)


def renewed(text: str) -> str:
    """The file's text with the tables as the models are now."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + "\n" + tables() + "\n" + END + rest.partition(END)[2]


# ------------------------------------------------------------------------------------------------ sections


def _mappings(path: str, model: type[BaseModel]) -> Iterator[str]:
    """The table of a mapping, and those of the mappings in it."""
    schema = model.model_json_schema()
    yield from _nested(path, schema, schema["$defs"])


def _nested(path: str, schema: Schema, models: Mapping[str, Schema]) -> Iterator[str]:
    own = schema["properties"]
    title = path or "A configuration"
    yield _table(title, _first(schema.get("description", "")), HEAD, _rows_of(schema, models))
    for key, one in own.items():
        inner, many = _model(one, models)
        if inner is not None and key not in ("selfplay", "tune"):
            item = "NAME" if "name" in inner["properties"] else "K"
            yield from _nested(".".join(filter(None, (path, key, item if many else ""))), inner, models)


def _model(schema: Schema, models: Mapping[str, Schema]) -> tuple[Schema | None, bool]:
    """The model that a key holds, and whether it holds a list of them."""
    for one in (schema, *schema.get("anyOf", ())):
        if "$ref" in one:
            found = models[one["$ref"].rpartition("/")[2]]
            return (found if found.get("properties") else None), False
        if "$ref" in one.get("items", {}):
            return models[one["items"]["$ref"].rpartition("/")[2]], True
    return None, False


def _learners() -> str:
    rows: dict[str, list[str]] = {}
    for k, (name, model) in enumerate(LEARNERS.items()):
        schema = model.model_json_schema()
        for key, kind, default, meaning in _with_inner(schema, schema["$defs"]):
            row = rows.setdefault(key, [key, kind, *("-" for _ in LEARNERS), meaning])
            row[2 + k] = default
            if meaning not in row[-1]:
                row[-1] += f"; {name}: {meaning}"
    about = "Options of a learner, for all its seats under `learners.NAME`, for one in `seats.SELLER`."
    return _table("learners.NAME", about, ("key", "type", *LEARNERS, "meaning"), rows.values())


def _with_inner(schema: Schema, models: Mapping[str, Schema]) -> Iterator[Row]:
    for row in _rows_of(schema, models):
        yield row
        inner, _ = _model(schema["properties"][row[0]], models)
        for key, *rest in _rows_of(inner or {}, models):
            yield (f"{row[0]}.{key}", *rest)


def _rules(title: str, table: Mapping[str, type[BaseModel]]) -> str:
    rows: list[Row] = []
    for name, model in table.items():
        rows.append((name, "", "", _purpose(model)))
        rows += [(f"{name}({key}=)", *rest) for key, *rest in _rows(model)]
    return _table(title, "", ("rule", *HEAD[1:]), rows)


# ------------------------------------------------------------------------------------------------ rows


def _table(title: str, about: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"### {title if title[0].isupper() else f'`{title}`'}\n"]
    lines += [f"{about}\n"] if about else []
    cells = [[f"`{key}`", *rest] for key, *rest in rows]
    for row in [head, ["---"] * len(head), *cells] if cells else []:
        lines.append("".join(f"| {cell} " if cell else "| " for cell in row) + "|")
    return "\n".join(lines) + ("\n" if cells else "")


def _rows(model: type[BaseModel]) -> list[Row]:
    schema = model.model_json_schema()
    return _rows_of(schema, schema.get("$defs", {}))


def _rows_of(schema: Schema, models: Mapping[str, Schema]) -> list[Row]:
    """Key, type, default and meaning of each."""
    return [
        (key, _kind(one, models), _default(key, one, schema), one.get("description", "").replace("|", "\\|"))
        for key, one in schema.get("properties", {}).items()
        if not (key == "mode" and "const" in one)
    ]


def _default(key: str, one: Schema, schema: Schema) -> str:
    if key in schema.get("required", ()):
        return "required"
    value = one.get("default", {})
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"`{_number(value)}`"
    return "" if isinstance(value, dict) else f"`{json.dumps(value)}`".replace('"', "")


def _kind(one: Schema, models: Mapping[str, Schema]) -> str:
    """What a value may be, in words."""
    if "anyOf" in one:
        return " or ".join(_kind(each, models) for each in one["anyOf"] if each.get("type") != "null")
    if "$ref" in one:
        return "mapping"
    if "enum" in one or "const" in one:
        return ", ".join(f"`{value}`" for value in one.get("enum", [one.get("const")]))
    if "prefixItems" in one:
        return f"[{', '.join(_kind(each, models) for each in one['prefixItems'])}]"
    if one.get("type") == "array":
        return f"list of {_kind(one['items'], models)}" if one.get("items") else "list"
    return f"{WORDS[one.get('type', 'object')]}{_bounds(one)}"


def _bounds(one: Schema) -> str:
    """The interval of a number; ends that only keep sums finite are not told."""
    ends = (
        ("minimum", "ge", "["),
        ("exclusiveMinimum", "gt", "("),
        ("maximum", "le", "]"),
        ("exclusiveMaximum", "lt", ")"),
    )
    found = {mark: one.get(name, one.get(short)) for name, short, mark in ends}
    given = {mark: _number(value) for mark, value in found.items() if value is not None and abs(value) < HUGE}
    low, high = ([mark for mark in given if mark in marks] for marks in ("[(", "])"))
    if low and high:
        return f" in {low[0]}{given[low[0]]}, {given[high[0]]}{high[0]}"
    return "".join(f" {SIGNS[mark]} {value}" for mark, value in given.items())


def _number(value: float) -> str:
    return f"{value:_}" if abs(value) >= 10_000 else f"{value:g}"


def _first(text: str) -> str:
    """The first paragraph of a docstring, with a document's code marks."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", inspect.cleandoc(text).partition("\n\n")[0])
    return " ".join(text.split()).replace("``", "`")


def _purpose(model: type[BaseModel]) -> str:
    return _first(model.__doc__ or "")


if __name__ == "__main__":
    README.write_text(renewed(README.read_text(encoding="utf-8")), encoding="utf-8")
