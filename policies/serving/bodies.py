"""What a request says: its JSON, and who it is."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from fastapi import Header

from market.errors import UserError
from policies.serving.log import Request

LONGEST_KEY = 200
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=LONGEST_KEY,
        description="any text of your own: a request that is sent again with it is answered as before, and decided once",
    ),
]


def asked(data: Any, key: str | None) -> Request:
    """Who a request is: its key, and a hash of all it says, in whatever order its fields stand."""
    said = json.dumps(data, sort_keys=True).encode()
    return Request(key or None, hashlib.sha256(said).hexdigest())


def parsed(body: bytes) -> Any:
    """A body's JSON.

    Raises :class:`UserError` for what is none, for numbers that are none, and for text that cannot be written.
    """

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no number")

    try:
        data = json.loads(body, parse_constant=refuse)
        if b"\\ud" in body.lower():
            json.dumps(data, ensure_ascii=False).encode()  # half of a pair is no text
    except (ValueError, RecursionError) as error:
        raise UserError(f"body: is no JSON ({error})") from None
    return data
