"""`bazaar serve`: sellers of runs behind HTTP."""

from __future__ import annotations

import gc
import socket
from functools import partial
from pathlib import Path

from market.errors import UserError
from policies.common.console import waits
from policies.common.interrupt import careful
from policies.common.torch_tools import one_torch_thread
from policies.config.command import ordered_by
from policies.config.orders import ServeOrder
from policies.deployment.run import decider_in_force
from policies.serving.access import token_of
from policies.serving.desk import Desk
from policies.storage.run_folder import exported_seller, learning_seats, open_run

FILE = "decisions.db"
BACKLOG = 2048


@ordered_by(ServeOrder)
def serve(order: ServeOrder) -> None:
    """Carry out `bazaar serve`: answer until Ctrl-C.

    Raises :class:`UserError` for runs whose sellers cannot be served beside each other, a port that is taken, an address
    that others reach without a token, and a database that is no decision log.

    Example::

        from policies import serve

        serve("runs/first", port=8001)  # until Ctrl-C
    """
    try:
        import uvicorn

        from policies.serving.app import application
        from policies.serving.log import DecisionLog, url_of
    except ImportError as error:
        raise UserError(f"{error.name} is missing: pip install 'bazaar-market[serve]'") from None
    one_torch_thread()
    token = token_of(order)
    with _listening(order.host, order.port) as listening:
        log = DecisionLog(url_of(order.db or str(order.runs[0] / FILE)))
        desks = desks_of(order)
        address = _address(order.host, listening.getsockname()[1])
        order.console.print(_greeting(order, desks, address), highlight=False)
        waits(order.console)
        config = uvicorn.Config(
            application(desks, log, token, partial(desk_of, order)),
            log_level="warning",
            access_log=False,
            server_header=False,
            backlog=BACKLOG,
        )
        gc.collect()
        gc.freeze()  # what is there stays: searching it for garbage would hold up a request for a tenth of a second
        with careful():
            uvicorn.Server(config).run(sockets=[listening])


def desks_of(order: ServeOrder) -> dict[str, Desk]:
    """Every seller that learned, by name; of an exported folder the one that it is of."""
    desks: dict[str, Desk] = {}
    for folder in order.runs:
        config, exported = open_run(folder), exported_seller(folder)
        for seat in learning_seats(config):
            name = config.market.names[seat]
            if exported not in (None, name):
                continue
            if name in desks:
                raise UserError(
                    f"{folder}: its seller {name} has the name of one of {desks[name].home}: serve one of them at another port"
                )
            desks[name] = desk_of(order, folder, name)
    return desks


def desk_of(order: ServeOrder, folder: Path, seller: str) -> Desk:
    """Of the seller of a run that is in force, ready to be asked."""
    desk = Desk(decider_in_force(folder, seller, order.rails, order.checkpoint), order.mode, folder)
    desk.warm()
    return desk


def _greeting(order: ServeOrder, desks: dict[str, Desk], address: str) -> str:
    what = "" if order.mode == "live" else ", in shadow: the fixed rule answers"
    return f"Serving {', '.join(desks)}{what}: {address} (Ctrl-C ends it)"


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens there; raises :class:`UserError` where none can."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        found = socket.create_server((host, port), family=family, backlog=BACKLOG)
        # Accepted connections inherit it; without, an answer's body waits until its head's receipt is confirmed.
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return found
    except OSError as error:
        raise UserError(
            f"--host {host} --port {port}: cannot listen there ({error.strerror or error}); --port chooses another"
        ) from None


def _address(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"
