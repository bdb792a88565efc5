"""Who may reach a server, as far as its order says. Needs nothing heavy."""

from __future__ import annotations

import ipaddress
import os

from market.errors import UserError
from policies.config.orders import ServeOrder

TOKEN = "BAZAAR_TOKEN"


def token_of(order: ServeOrder) -> str | None:
    """What requests must bear; None where anybody on this machine may ask.

    Raises :class:`UserError` for a token that is none, and for an address that others reach without one.
    """
    token = _read(order) if order.token is not None else os.environ.get(TOKEN) or None
    if token is None and not _only_here(order.host):
        raise UserError(
            f"--host {order.host}: others can reach it: --token FILE, or the environment's {TOKEN}, must say what requests bear"
        )
    return token


def _read(order: ServeOrder) -> str:
    try:
        found = str(order.token and order.token.read_text(encoding="utf-8")).partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--token {order.token}: cannot be read ({error})") from None
    if not found or not found.isascii():
        raise UserError(f"--token {order.token}: its first line must be the token, of plain characters")
    return found


def _only_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
