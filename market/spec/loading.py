"""Reading a configuration: YAML in, a validated model or one message a mistake out.

Every message has the form ``place: rule``, the place being the file and the key's path. Any pydantic model will do:
the models of a market are in :mod:`market.spec.models`.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from market.errors import UserError
from market.salesfile.files import ENDINGS
from market.spec.builtin import hint
from market.spec.plain_yaml import MOST_BYTES, plain_data

T = TypeVar("T", bound=BaseModel)

SHA256 = r"^[0-9a-f]{64}$"
PATTERNS = {SHA256: "must be a SHA-256: 64 of the digits 0-9 and a-f"}
MOST_MISTAKES, LONGEST = 20, 80  # lines of a message, and characters of a key or a value in it
MAPPING = "must be a mapping of keys to values"
SHAPES = {"model_type": MAPPING, "dict_type": MAPPING, "tuple_type": "must be a list"}


def find_tape(market: object, path: Path) -> None:
    """Make the sales file that a configuration at ``path`` names relative to its own folder an absolute path."""
    tape = market.get("tape") if isinstance(market, dict) else None
    if isinstance(tape, dict) and isinstance(tape.get("file"), str) and tape["file"]:
        file = path.parent / tape["file"]
        tape["file"] = str(file.parent.resolve() / file.name)


def parse_model(model: type[T], data: object, where: str) -> T:
    """Validate ``data``; every error becomes one line ``where.key.path: rule``."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        lines = [_explain(model, where, dict(problem)) for problem in error.errors()[:MOST_MISTAKES]]
        more = error.error_count() - MOST_MISTAKES
        lines += [f"{where}: {more:,} more mistakes"] if more > 0 else []
        raise UserError("\n".join(dict.fromkeys(lines))) from None


def _explain(model: type[BaseModel], where: str, problem: dict[str, Any]) -> str:
    path, shown = ".".join([where, *(short(str(key)) for key in problem["loc"])]), problem["input"]
    if problem["type"] == "extra_forbidden":
        return f"{path}: unknown key{suggestion(str(problem['loc'][-1]), _keys(model, problem['loc']))}"
    said = str(problem["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
    message = SHAPES.get(problem["type"], PATTERNS.get(problem.get("ctx", {}).get("pattern"), said))
    if problem["type"] == "missing":
        message = "this key is required" if isinstance(problem["loc"][-1], str) else "the list is too short"
        return f"{path}: {message}"
    return f"{path}: {message}{f' (got {short(repr(shown))})' if isinstance(shown, (str, int, float)) or shown is None else ''}"


def short(text: str) -> str:
    """The beginning of what is too long for a message."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def suggestion(word: str, known: Collection[str]) -> str:
    """The known word that an unknown one resembles, or all that may stand in its place, in brackets."""
    close = difflib.get_close_matches(word, list(known), 1)
    return f" (did you mean {close[0]}?)" if close else f" (known: {', '.join(known)})"


def _keys(model: type[BaseModel] | None, loc: tuple[str | int, ...]) -> Collection[str]:
    for part in loc[:-1]:
        if isinstance(part, str) and model is not None:
            model = model_within(model.model_fields[part].annotation)
    return model.model_fields if model is not None else ()


def model_within(annotation: Any) -> type[BaseModel] | None:
    """The model inside ``X | None`` or ``tuple[X, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := model_within(part))), None)


def refuse_booleans(data: object, path: str) -> None:
    """No value of a market is true or false, but YAML reads on, off, yes and no so, and they pass for 1 and 0."""
    if isinstance(data, bool):
        raise UserError(f"{path}: must not be true or false (YAML reads yes, no, on and off so: put names in quotes)")
    for key, value in data.items() if isinstance(data, dict) else enumerate(data if isinstance(data, list) else []):
        refuse_booleans(value, f"{path}.{key}")


def read_data(path: str | Path, missing: str = "", aside: str = "") -> Any:
    """Read YAML, or JSON, as plain data; what else to say where the file cannot be opened, and of one that is none."""
    try:
        with open(path, "rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}){missing}") from None
    try:
        return plain_data(content)
    except UserError as error:
        raise UserError(f"{path}: {error}{aside}") from None


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML mapping; raise :class:`UserError` that names the file when it is missing or not one."""
    data = read_data(path, hint(path), _aside(path))
    if not isinstance(data, dict):
        raise UserError(f"{path}: must be a YAML mapping with the key market{_aside(path)}")
    return data


def _aside(path: str | Path) -> str:
    """What a file that is no configuration seems to be."""
    sales = Path(path).suffix.lower() in ENDINGS
    return "; a sales file: bazaar calibrate makes a configuration of it" if sales else ""
