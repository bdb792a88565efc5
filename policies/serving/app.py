"""The HTTP interface of served sellers: decisions, outcomes, the log, health and figures.

Everything is decided in one thread, one request after another: the log has one writer, and a decider is asked by one. What
takes longer, playing on from a decision (:meth:`Desk.outlook`), has a thread of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from market.errors import UserError
from policies.serving import inference
from policies.serving.bodies import Key, asked, parsed
from policies.serving.desk import Desk
from policies.serving.guard import Guard
from policies.serving.log import Conflict, DecisionLog
from policies.serving.log import Request as Asked
from policies.serving.metrics import Counted, Metrics
from policies.serving.schemas import BODIES, REFUSALS, Decisions, Outlook, Page, Settled
from policies.storage.lineage import stamp
from policies.storage.run_folder import versions
from policies.views.page import rendered

LOG = logging.getLogger("bazaar")
MOST_SHOWN = 1000
GLANCE = 1.0  # seconds between two looks at which sellers are in force


@dataclass
class Shop:
    """What a server has: its sellers by name, the log, its counters.

    ``renew``: makes the desk of a run's seller that is in force now; None: whoever is there stays.
    """

    desks: dict[str, Desk]
    log: DecisionLog
    renew: Callable[[Path, str], Desk] | None = None
    metrics: Metrics = field(default_factory=Metrics)
    looking: Lock = field(default_factory=Lock)

    def desk(self, seller: str) -> Desk:
        """Of a seller; raises what becomes a 404."""
        if seller not in self.desks:
            raise HTTPException(404, f"seller {seller!r}: not served here; there are {', '.join(self.desks)}")
        return self.desks[seller]

    async def watch(self) -> None:
        """Put sellers that have come into force in the place of those before; requests are answered meanwhile."""
        if self.renew is None:
            return
        known = {name: stamp(desk.home) for name, desk in self.desks.items()}
        refused: dict[str, Any] = {}
        while True:
            await asyncio.sleep(GLANCE)
            for name, desk in list(self.desks.items()):
                if (now := stamp(desk.home)) == known[name]:
                    continue
                try:
                    self.desks[name] = await run_in_threadpool(self.renew, desk.home, name)
                    LOG.warning(f"{name}: the seller in force is that of {self.desks[name].version}")
                    known[name] = now
                except Exception as error:  # noqa: BLE001  # whatever it is, requests go on being answered
                    if refused.get(name) != now:  # it is tried again, and said once
                        LOG.error(f"{name} stays as it is: {error}")
                    refused[name] = now

    def decide(self, seller: str, data: Any, asked: Asked) -> tuple[list[dict[str, Any]], bool]:
        """Answers in the log, and whether they were there before."""
        desk = self.desk(seller)
        before = self.log.repeated(seller, desk.run, asked)
        if before is not None:
            return before, True
        answers = desk.answers(data)
        found = self.log.add(seller, desk.run, asked, data if isinstance(data, list) else [data], answers)
        self.metrics.decided(seller, desk.mode, answers)
        return found, False


def application(
    desks: Mapping[str, Desk],
    log: DecisionLog,
    token: str | None = None,
    renew: Callable[[Path, str], Desk] | None = None,
) -> Any:
    """The ASGI application that serves these sellers; requests bear the ``token``, where there is one.

    ``renew``: as :class:`Shop` has it.
    """
    shop = Shop(dict(desks), log, renew)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(shop.watch())
        yield
        watching.cancel()
        log.close()

    app = FastAPI(
        lifespan=life,
        title="Bazaar", version=versions()["bazaar-market"], redoc_url=None,
        description="Prices and orders by trained sellers, within their rails. Every decision is in the log before it is answered.",
        responses=REFUSALS,
    )  # fmt: skip
    _refusals(app)
    _decisions(app, shop)
    _sellers(app, shop)
    _about(app, shop)
    inference.add(app, shop.desk, lambda seller, data, asked: shop.decide(seller, data, asked)[0])
    return Counted(Guard(app, token), shop.metrics)


# ------------------------------------------------------------------------------------------------ what is asked


def _decisions(app: FastAPI, shop: Shop) -> None:
    @app.post("/v1/sellers/{seller:path}/decide", response_model=Decisions, openapi_extra=BODIES["decide"])
    async def decide(seller: str, request: Request, key: Key = None) -> Response:
        """What the seller posts and orders now, in one state or in each of a list."""
        data = parsed(await request.body())
        found, again = shop.decide(seller, data, asked(data, key))
        headers = {"Idempotent-Replay": "true"} if again else None
        return JSONResponse({"decisions": found}, headers=headers)

    @app.post("/v1/sellers/{seller:path}/outcomes", response_model=Settled, openapi_extra=BODIES["outcomes"])
    async def outcomes(seller: str, request: Request) -> Response:
        """What came of decisions: units sold, and what else is known. The same again changes nothing."""
        desk = shop.desk(seller)
        data = parsed(await request.body())
        entries = data if isinstance(data, list) else [data]
        found: dict[int, dict[str, Any]] = {}
        for k, entry in enumerate(entries):
            place = f"outcome {k + 1}" if isinstance(data, list) else "outcome"
            number, outcome = desk.outcome(entry, place)
            if found.setdefault(number, outcome) != outcome:
                raise UserError(f"{place}: decision: {number} stands here twice, with different outcomes")
        try:
            new = shop.log.settle(seller, desk.run, found)
        except KeyError as error:
            raise HTTPException(404, f"decision {error.args[0]}: {seller} made none of this number") from None
        shop.metrics.outcomes.labels(seller).inc(new)
        return JSONResponse({"outcomes": len(found), "new": new})

    @app.post("/v1/sellers/{seller:path}/outlook", response_model=Outlook, openapi_extra=BODIES["state"])
    async def outlook(
        seller: str,
        request: Request,
        periods: Annotated[int, Query(ge=1, le=1000)] = 30,
        episodes: Annotated[int, Query(ge=2, le=4096)] = 256,
    ) -> Response:
        """What deciding in this state is worth, played on in the run's market: the policy, the rule, and as last period."""
        desk, data = shop.desk(seller), parsed(await request.body())
        if isinstance(data, list):
            raise UserError("state: one at a time")
        decided = desk.decided(data)

        def looked() -> dict[str, Any]:
            with shop.looking:
                return desk.outlook(decided, periods, episodes)

        return JSONResponse(await run_in_threadpool(looked))


def _sellers(app: FastAPI, shop: Shop) -> None:
    @app.get("/v1/sellers")
    async def sellers() -> Response:
        """Who is served."""
        return JSONResponse(
            {
                "sellers": [
                    {"seller": name, "mode": one.mode, "version": one.version} for name, one in shop.desks.items()
                ]
            }
        )

    @app.get("/v1/sellers/{seller:path}")
    async def contract(seller: str) -> Response:
        """What a seller must be told, in what units and within what it met in training, and what it answers."""
        desk = shop.desk(seller)
        return JSONResponse(desk.contract | {"example_state": desk.example})

    @app.get("/v1/decisions", response_model=Page)
    async def decisions(
        seller: str | None = None,
        after: Annotated[int, Query(ge=0, lt=2**31)] = 0,
        limit: Annotated[int, Query(ge=1, le=MOST_SHOWN)] = 100,
        latest: bool = False,
    ) -> Response:
        """The log, a page at a time: decisions above the number ``after``, or the ``latest``; with their outcomes."""
        run = None if seller is None else shop.desk(seller).run
        if latest:
            return JSONResponse({"decisions": shop.log.latest(seller, run, limit), "next": None})
        found = shop.log.decisions(seller, run, after, limit)
        return JSONResponse({"decisions": found, "next": found[-1]["decision"] if len(found) == limit else None})


def _about(app: FastAPI, shop: Shop) -> None:
    @app.get("/health/live")
    @app.get("/v2/health/live")
    async def live() -> Response:
        """The server answers."""
        return JSONResponse({"live": True})

    @app.get("/health/ready")
    @app.get("/v2/health/ready")
    async def ready() -> Response:
        """The log can be read."""
        shop.log.decisions(limit=1)
        return JSONResponse({"ready": True})

    @app.get("/metrics")
    async def metrics() -> Response:
        """Counters, as Prometheus reads them."""
        return Response(shop.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return HTMLResponse(rendered("serving.html", version=app.version))


# ------------------------------------------------------------------------------------------------ what is refused


def _refusals(app: FastAPI) -> None:
    def told(status: int, message: str) -> Response:
        return JSONResponse({"error": message}, status)

    @app.exception_handler(UserError)
    async def wrong(_: Request, error: UserError) -> Response:
        return told(422, str(error))

    @app.exception_handler(RequestValidationError)
    async def misfit(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return told(422, f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}")

    @app.exception_handler(Conflict)
    async def conflict(_: Request, error: Conflict) -> Response:
        return told(409, str(error))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        message = (
            error.detail
            if error.status_code != 404 or error.detail != "Not Found"
            else f"{request.url.path}: nothing is here; /docs lists what is"
        )
        return JSONResponse({"error": message}, error.status_code, error.headers)

    @app.exception_handler(SQLAlchemyError)
    async def unlogged(_: Request, error: SQLAlchemyError) -> Response:
        LOG.error(f"the log cannot be reached: {getattr(error, 'orig', None) or error}")
        return told(503, "the log cannot be reached, and nothing is decided without it: try again")

    @app.exception_handler(Exception)
    async def unforeseen(_: Request, error: Exception) -> Response:
        return told(500, "an error in Bazaar: the server's own output says which")
