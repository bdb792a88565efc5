"""What requests and answers look like, for the description at /docs: nothing is checked here a second time."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class _Said(BaseModel):
    model_config = ConfigDict(extra="allow")


class Refusal(BaseModel):
    """Where a mistake is, and the rule."""

    error: str


class Decision(_Said):
    """What to post (money per unit) and to order (units) now, and how it came about."""

    decision: int
    seller: str
    at: str
    id: str
    price: float
    order: float
    level: float
    by: str
    wanted_price: float
    wanted_order: float
    rule_price: float
    rule_order: float
    bound: list[str]
    outside: list[str]
    assumed: list[str]
    version: str


class Decisions(BaseModel):
    """One for each state, in order."""

    decisions: list[Decision]


class Kept(Decision):
    """A decision with the state it was made in, and what came of it."""

    run: str
    request: str | None
    state: dict[str, Any]
    outcome: dict[str, Any] | None


class Page(BaseModel):
    """Of the log; ``next``: what to ask for as ``after``, null at the end."""

    decisions: list[Kept]
    next: int | None


class Settled(BaseModel):
    """How many outcomes were told, and how many of them were new."""

    outcomes: int
    new: int


class Interval(BaseModel):
    """An estimate with its 95 % interval."""

    mean: float
    low: float
    high: float


class Outlook(BaseModel):
    """Expected profit a period, money, by who decides, and the policy's advantage over each other one, paired."""

    periods: int
    episodes: int
    profit: dict[str, Interval]
    advantage: dict[str, Interval]


REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal, "description": what}
    for status, what in {
        401: "The token is missing or another",
        404: "There is no such seller, decision or place",
        405: "There is no such method here",
        409: "It contradicts what the log holds",
        413: "The body is too large",
        422: "A field is wrong: which, and the rule",
        503: "The log cannot be reached",
    }.items()
}


def _body(what: str, one: dict[str, Any], many: bool = True) -> dict[str, Any]:
    schema = {"oneOf": [one, {"type": "array", "items": one, "minItems": 1}]} if many else one
    return {"requestBody": {"required": True, "description": what, "content": {"application/json": {"schema": schema}}}}


_STATE = {"type": "object", "description": "fields as GET /v1/sellers/SELLER names them"}
_NUMBER = {"type": "number", "minimum": 0}
_OUTCOME = {
    "type": "object",
    "required": ["decision", "sold"],
    "additionalProperties": False,
    "properties": {
        "decision": {"type": "integer", "minimum": 1, "description": "its number"},
        "sold": _NUMBER | {"description": "units"},
        "lost": _NUMBER | {"description": "units wanted and not there"},
        "price": _NUMBER | {"description": "money per unit that was posted, if another than decided"},
        "ordered": _NUMBER | {"description": "units that were ordered, if others than decided"},
        "rivals": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "properties": {"price": _NUMBER, "sold": _NUMBER},
            },
        },
    },
}
BODIES = {
    "decide": _body("A state, or a list of them", _STATE),
    "state": _body("A state", _STATE, many=False),
    "outcomes": _body("An outcome, or a list of them", _OUTCOME),
}
