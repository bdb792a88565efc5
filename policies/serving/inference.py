"""The Open Inference Protocol (version 2, as KServe and Triton speak it) over the same decisions, rails and log."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from market.errors import UserError
from market.spec.loading import suggestion
from policies.deployment.onnx_file import DECISIONS
from policies.serving.bodies import Key, asked, parsed
from policies.serving.desk import Desk
from policies.serving.log import Request as Asked

ANSWERS = dict(zip(DECISIONS, ("price", "level", "order"), strict=True))
TYPES = ("FP64", "FP32", "INT64", "INT32", "BOOL")
Decide = Callable[[str, Any, Asked], list[dict[str, Any]]]


def add(app: FastAPI, desk: Callable[[str], Desk], decide: Decide) -> None:
    """The protocol's paths; ``desk`` finds a seller's, or raises what becomes a 404."""

    @app.get("/v2")
    async def server() -> Response:
        """The server."""
        return JSONResponse({"name": "bazaar", "version": app.version, "extensions": []})

    @app.get("/v2/models/{seller:path}/ready")
    async def ready(seller: str) -> Response:
        """Whether a seller is served."""
        desk(seller)
        return JSONResponse({"name": seller, "ready": True})

    @app.post("/v2/models/{seller:path}/infer", openapi_extra=BODY)
    async def infer(seller: str, request: Request, key: Key = None) -> Response:
        """Decisions in as many states as the inputs have rows, within the rails; ``parameters.decisions`` has their numbers."""
        data, one = parsed(await request.body()), desk(seller)
        states = states_of(data, one)
        wanted = _wanted(data.get("outputs"))
        found = decide(seller, states, asked(data, key))
        outputs = [
            {"name": name, "datatype": "FP64", "shape": [len(found)], "data": [row[ANSWERS[name]] for row in found]}
            for name in wanted
        ]
        parameters = {"decisions": [row["decision"] for row in found]}
        same = {"id": data["id"]} if data.get("id") else {}
        return JSONResponse({"model_name": seller, **same, "parameters": parameters, "outputs": outputs})

    @app.get("/v2/models/{seller:path}")
    async def model(seller: str) -> Response:
        """A seller's inputs and outputs."""
        contract = desk(seller).contract
        inputs = [{"name": one["name"], "datatype": "FP64", "shape": [-1]} for one in contract["inputs"]]
        outputs = [{"name": name, "datatype": "FP64", "shape": [-1]} for name in ANSWERS]
        return JSONResponse(
            {"name": seller, "platform": "bazaar", "versions": [], "inputs": inputs, "outputs": outputs}
        )


def _wanted(outputs: Any) -> list[str]:
    """Names of what is asked for: all, where nothing is said."""
    if not outputs:
        return list(ANSWERS)
    if not isinstance(outputs, list):
        raise UserError("outputs: must be a list of tensors with name")
    found = [str(entry.get("name")) if isinstance(entry, dict) else str(entry) for entry in outputs]
    for name in found:
        if name not in ANSWERS:
            raise UserError(f"outputs: {name!r}: must be one of {', '.join(ANSWERS)}")
    return found


def states_of(data: Any, desk: Desk) -> list[dict[str, Any]]:
    """The states that tensors tell, a row each.

    Raises :class:`UserError` for what is no request of the protocol.
    """
    given = data.get("inputs") if isinstance(data, dict) else None
    if not isinstance(given, list) or not given:
        raise UserError("inputs: must be a list of tensors with name, shape, datatype and data")
    known = {one["name"]: one for one in desk.contract["inputs"]}
    columns: dict[str, list[Any]] = {}
    for k, tensor in enumerate(given):
        name, values = _tensor(tensor, f"inputs.{k}")
        if name not in known:
            raise UserError(f"inputs.{k}: {name}: no input has this name{suggestion(name, known)}")
        columns[name] = [_told(value, known[name], desk) for value in values]
    rows = {len(values) for values in columns.values()}
    if len(rows) > 1:
        raise UserError("inputs: every one must have as many rows")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _tensor(tensor: Any, place: str) -> tuple[str, list[Any]]:
    if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
        raise UserError(f"{place}: must have name, shape, datatype and data")
    if tensor.get("datatype") not in TYPES:
        raise UserError(f"{place}: datatype: must be one of {', '.join(TYPES)}, got {tensor.get('datatype')!r}")
    values, shape = tensor.get("data"), tensor.get("shape")
    while isinstance(values, list) and values and all(isinstance(one, list) for one in values):
        values = [value for one in values for value in one]  # rows of one column
    whole = isinstance(shape, list) and all(isinstance(n, int) and n >= 0 for n in shape)
    if not isinstance(values, list) or not values or not whole or math.prod(shape or []) != len(values):
        raise UserError(f"{place}: data: must be a list of as many numbers as the shape says, at least one")
    return tensor["name"], values


def _told(value: Any, contract: Mapping[str, Any], desk: Desk) -> Any:
    """A value as a state has it: a location by its name, a flag as such."""
    locations = [one.name for one in desk.decider.spec.locations]
    if contract["name"] == "location" and isinstance(value, int | float) and value in range(len(locations)):
        return locations[int(value)]
    return bool(value) if contract["unit"].startswith("true or false") and value in (0, 1) else value


_TENSOR = {
    "type": "object",
    "required": ["name", "shape", "datatype", "data"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 1}},
        "datatype": {"enum": list(TYPES)},
        "data": {"type": "array"},
    },
}
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["inputs"],
                    "properties": {
                        "inputs": {"type": "array", "items": _TENSOR, "minItems": 1},
                        "id": {"type": "string"},
                    },
                }
            }
        },
    }
}
