"""The decision log: every decision and what came of it, in one SQLite file or any database that SQLAlchemy opens.

A decision is in the log before anybody is told of it. A request that says who it is (its *key*) is carried out once,
whoever repeats it and however often.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Column,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    insert,
    inspect,
    select,
)
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError, SQLAlchemyError

from market.errors import UserError

VERSION = 1  # of the tables
SEVERAL = 20  # attempts at what another process is doing at the same time ...
AT_ONCE = ("exists", "unique", "locked", "duplicate")  # ... of which databases say this
PAGE = 1000  # decisions
PATIENCE = 10  # seconds that one process waits for another's write

TABLES = MetaData()
ABOUT = Table("bazaar_log", TABLES, Column("version", Integer, primary_key=True, autoincrement=False))
DECISIONS = Table(
    "decisions",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("at", String(40), nullable=False),
    Column("seller", String(200), nullable=False),
    Column("run", Text, nullable=False),
    Column("request", String(200), nullable=True),  # its key; none where it did not say
    Column("position", Integer, nullable=False),  # within the request
    Column("digest", String(64), nullable=False),  # of the request, to tell a repeated one from another of the same key
    Column("state", Text, nullable=False),
    Column("answer", Text, nullable=False),
    UniqueConstraint("run", "seller", "request", "position"),
    sqlite_autoincrement=True,
)
OUTCOMES = Table(
    "outcomes",
    TABLES,
    Column("decision", Integer, ForeignKey("decisions.id"), primary_key=True),
    Column("at", String(40), nullable=False),
    Column("outcome", Text, nullable=False),
)


SETTLED = DECISIONS.outerjoin(OUTCOMES, OUTCOMES.c.decision == DECISIONS.c.id)


def url_of(db: str) -> str:
    """The SQLAlchemy URL of a file, or of what is a URL already."""
    return db if "://" in db else f"sqlite:///{db}"


class Conflict(Exception):
    """What was asked contradicts what the log holds."""


@dataclass(frozen=True)
class Request:
    """What asks for decisions: its key, None where it has none, and a hash of all it says."""

    key: str | None
    digest: str


class DecisionLog:
    """Opens the log at an SQLAlchemy URL, making its tables where there are none; with ``new`` False there must be some.

    Raises :class:`UserError` for a database that cannot be opened, is damaged, holds another version's tables, or none.
    """

    def __init__(self, url: str, new: bool = True) -> None:
        self.url = url
        try:
            self.engine: Engine = create_engine(url)
            if self.engine.dialect.name == "sqlite":
                event.listen(self.engine, "connect", _as_a_log)
        except (SQLAlchemyError, ImportError) as error:
            raise self._unusable(error) from None
        try:
            self._prepare(new)
        except (SQLAlchemyError, UserError) as error:
            self.close()
            raise error if isinstance(error, UserError) else self._unusable(error) from None

    def _unusable(self, error: Exception) -> UserError:
        return UserError(f"{_shown(self.url)}: cannot be opened as a decision log ({_reason(error)})")

    def _prepare(self, new: bool) -> None:
        if not new and not inspect(self.engine).has_table(ABOUT.name):
            raise UserError(f"{_shown(self.url)}: is no decision log")
        for left in reversed(range(SEVERAL)):
            try:
                return self._make()
            except (OperationalError, ProgrammingError, IntegrityError) as error:
                if not left or not any(word in _reason(error).lower() for word in AT_ONCE):
                    raise

    def _make(self) -> None:
        TABLES.create_all(self.engine)
        with self.engine.begin() as connection:
            found = connection.execute(select(ABOUT.c.version)).scalars().all()
            if not found:
                connection.execute(insert(ABOUT).values(version=VERSION))
            elif found != [VERSION]:
                said = ", ".join(map(str, found))
                raise UserError(f"{_shown(self.url)}: is a log of version {said}, this Bazaar writes {VERSION}")

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    # -------------------------------------------------------------------------------------------- decisions

    def repeated(self, seller: str, run: str, request: Request) -> list[dict[str, Any]] | None:
        """What was answered to this request before; None where it is new.

        Raises :class:`Conflict` for another request of the same key.
        """
        if request.key is None:
            return None
        query = _of(select(DECISIONS), seller, run).where(DECISIONS.c.request == request.key)
        rows = self._read(query.order_by(DECISIONS.c.position))
        if rows and rows[0]["digest"] != request.digest:
            raise Conflict(f"Idempotency-Key {request.key}: another request for {seller} had this key")
        return [_answer(row) for row in rows] or None

    def add(
        self, seller: str, run: str, request: Request, states: Sequence[Any], answers: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        """Keep the decisions of a request, all or none; returns them with their numbers, or those of another process that was first."""
        at = _now()
        rows = [
            {"at": at, "seller": seller, "run": run, "request": request.key, "position": k, "digest": request.digest,
             "state": json.dumps(state, ensure_ascii=False), "answer": json.dumps(answer, ensure_ascii=False)}
            for k, (state, answer) in enumerate(zip(states, answers, strict=True))
        ]  # fmt: skip
        try:
            with self.engine.begin() as connection:
                made = insert(DECISIONS).returning(DECISIONS.c.id, sort_by_parameter_order=True)
                numbers = connection.execute(made, rows).scalars().all()
        except IntegrityError:
            found = self.repeated(seller, run, request)
            if found is None:
                raise
            return found
        return [_answer(row | {"id": number}) for row, number in zip(rows, numbers, strict=True)]

    def decisions(
        self, seller: str | None = None, run: str | None = None, after: int = 0, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Decisions numbered above ``after``, in order, with the states they were made in and what came of them."""
        query = select(DECISIONS, OUTCOMES.c.outcome).select_from(SETTLED).where(DECISIONS.c.id > after)
        return [_entry(row) for row in self._read(_of(query, seller, run).order_by(DECISIONS.c.id).limit(limit))]

    def all(self, seller: str | None = None) -> Iterator[dict[str, Any]]:
        """Every decision, in order, a page in memory at a time."""
        after = 0
        while page := self.decisions(seller, after=after, limit=PAGE):
            yield from page
            after = page[-1]["decision"]

    def latest(self, seller: str | None = None, run: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """The newest decisions, in order."""
        query = _of(select(DECISIONS, OUTCOMES.c.outcome).select_from(SETTLED), seller, run)
        return [_entry(row) for row in self._read(query.order_by(DECISIONS.c.id.desc()).limit(limit))][::-1]

    # -------------------------------------------------------------------------------------------- outcomes

    def settle(self, seller: str, run: str, outcomes: Mapping[int, Mapping[str, Any]]) -> int:
        """Keep what came of decisions, by number, all or none; returns how many are new.

        Raises:
            KeyError: a number that no decision of the seller has.
            Conflict: an outcome that is kept already and says something else.
        """
        at = _now()
        with self.engine.begin() as connection:
            query = select(DECISIONS.c.id, OUTCOMES.c.outcome).select_from(SETTLED)
            query = _of(query, seller, run).where(DECISIONS.c.id.in_(list(outcomes)))
            kept = {row.id: row.outcome for row in connection.execute(query)}
            fresh = []
            for number, outcome in outcomes.items():
                said = json.dumps(outcome, ensure_ascii=False, sort_keys=True)
                if kept[number] is None:
                    fresh.append({"decision": number, "at": at, "outcome": said})
                elif kept[number] != said:
                    raise Conflict(f"decision {number}: has an outcome already, which says something else")
            if fresh:
                connection.execute(insert(OUTCOMES), fresh)
        return len(fresh)

    def _read(self, query: Select[Any]) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


def _of(query: Select[Any], seller: str | None, run: str | None) -> Select[Any]:
    query = query if seller is None else query.where(DECISIONS.c.seller == seller)
    return query if run is None else query.where(DECISIONS.c.run == run)


def _answer(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"decision": row["id"], "seller": row["seller"], "at": row["at"], **json.loads(row["answer"])}


def _entry(row: Mapping[str, Any]) -> dict[str, Any]:
    outcome = row["outcome"]
    return _answer(row) | {
        "run": row["run"], "request": row["request"], "state": json.loads(row["state"]),
        "outcome": None if outcome is None else json.loads(outcome),
    }  # fmt: skip


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _as_a_log(connection: Any, _: Any) -> None:
    """SQLite's settings: readers beside a writer; a commit outlives the process, however it ends.

    One that outlives a power failure as well (``synchronous = FULL``) waits for the disk, longer than all else of an answer
    takes: a database server does that better.
    """
    cursor = connection.cursor()
    for pragma in (
        "journal_mode = WAL",
        "synchronous = NORMAL",
        f"busy_timeout = {1000 * PATIENCE}",
        "foreign_keys = ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _shown(url: str) -> str:
    """Without what only SQLAlchemy reads, and without a password."""
    return (
        url.removeprefix("sqlite:///")
        if "@" not in url
        else url.partition("://")[0] + "://..." + url.rpartition("@")[2]
    )


def _reason(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]
