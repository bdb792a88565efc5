"""The decision log: nothing twice, nothing lost, on SQLite and on PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from market.errors import UserError
from policies.serving.log import TABLES, Conflict, DecisionLog, Request

RUN = "runs/x"
NOTHING = Request(None, "0")


@pytest.fixture(name="log", params=["sqlite", "postgres"])
def _log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DecisionLog]:
    url = f"sqlite:///{tmp_path / 'x.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres")
    log = DecisionLog(url)
    yield log
    TABLES.drop_all(log.engine)
    log.close()


def added(log: DecisionLog, *prices: float, seller: str = "left", request: Request = NOTHING) -> list[dict[str, Any]]:
    states = [{"id": str(price)} for price in prices]
    return log.add(seller, RUN, request, states, [{"price": price, "by": "日本茶"} for price in prices])


def test_decisions_are_read_as_they_were_made(log: DecisionLog) -> None:
    first, second = added(log, 1.5, 2.5)
    other = added(log, 3.5, seller="right")[0]
    assert (first["price"], second["price"], first["by"]) == (1.5, 2.5, "日本茶")
    assert first["decision"] < second["decision"] < other["decision"]
    rows = log.decisions()
    assert [row["decision"] for row in rows] == [first["decision"], second["decision"], other["decision"]]
    assert rows[1]["state"] == {"id": "2.5"} and rows[1]["run"] == "runs/x" and rows[1]["outcome"] is None
    assert [row["price"] for row in log.decisions("left")] == [1.5, 2.5]
    assert [row["price"] for row in log.decisions(after=first["decision"], limit=1)] == [2.5]
    assert [row["price"] for row in log.latest(limit=2)] == [2.5, 3.5]


def test_a_key_is_carried_out_once(log: DecisionLog) -> None:
    request = Request("a key", "digest")
    assert log.repeated("left", RUN, request) is None
    made = added(log, 1.0, 2.0, request=request)
    assert log.repeated("left", RUN, request) == made
    assert added(log, 8.0, 9.0, request=request) == made  # whoever comes second is told what the first was
    assert len(log.decisions()) == 2
    assert log.repeated("right", RUN, request) is None and log.repeated("left", "runs/y", request) is None
    with pytest.raises(Conflict, match="a key: another request for left"):
        log.repeated("left", RUN, Request("a key", "other"))
    with pytest.raises(Conflict):
        added(log, 1.0, request=Request("a key", "other"))


def test_of_requests_at_once_with_one_key_one_is_carried_out(log: DecisionLog) -> None:
    def ask(k: int) -> list[dict[str, Any]]:
        return added(log, float(k), float(k), request=Request(f"key {k // 8}", "d"))

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(32)))
    assert len(log.decisions()) == 8
    for k in range(4):
        assert all(one == found[8 * k] for one in found[8 * k : 8 * k + 8])


def test_outcomes_are_kept_once_and_stand_beside_their_decisions(log: DecisionLog) -> None:
    first, second = (one["decision"] for one in added(log, 1.0, 2.0))
    assert log.settle("left", RUN, {first: {"sold": 3.0}}) == 1
    assert log.settle("left", RUN, {first: {"sold": 3.0}, second: {"sold": 4.0, "lost": 1.0}}) == 1
    assert [row["outcome"] for row in log.decisions()] == [{"sold": 3.0}, {"sold": 4.0, "lost": 1.0}]
    with pytest.raises(Conflict, match=f"decision {first}: has an outcome already"):
        log.settle("left", RUN, {first: {"sold": 5.0}})
    third = added(log, 3.0)[0]["decision"]
    for seller, run, number in (("right", RUN, first), ("left", "runs/y", first), ("left", RUN, 10_000)):
        with pytest.raises(KeyError, match=str(number)):
            log.settle(seller, run, {number: {"sold": 3.0}} | ({third: {"sold": 1.0}} if number > first else {}))
    assert log.decisions()[2]["outcome"] is None  # all or none


def test_a_log_is_gone_on_with(log: DecisionLog) -> None:
    added(log, 1.0)
    again = DecisionLog(str(log.engine.url))
    assert [row["price"] for row in again.decisions()] == [1.0]
    again.close()


def test_several_make_one_log_at_once(tmp_path: Path) -> None:
    for k in range(5):
        url = f"sqlite:///{tmp_path / f'{k}.db'}"
        with ThreadPoolExecutor(6) as pool:
            logs = list(pool.map(lambda _, url=url: DecisionLog(url), range(6)))
        added(logs[0], 1.0)
        assert all(len(log.decisions()) == 1 for log in logs)
        for log in logs:
            log.close()


def test_of_another_version_is_refused(log: DecisionLog) -> None:
    with log.engine.begin() as connection:
        connection.execute(text("UPDATE bazaar_log SET version = 7"))
    with pytest.raises(UserError, match="is a log of version 7, this Bazaar writes 1"):
        DecisionLog(str(log.engine.url))


def test_what_is_no_log_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    file.write_bytes(b"no database at all, " * 400)
    with pytest.raises(UserError, match=r"x\.db: cannot be opened as a decision log \(file is not a database"):
        DecisionLog(f"sqlite:///{file}")
    assert file.read_bytes() == b"no database at all, " * 400
    with pytest.raises(UserError, match="unable to open database file"):
        DecisionLog(f"sqlite:///{tmp_path / 'nosuch' / 'x.db'}")
    with pytest.raises(UserError, match=r"mysql:.*cannot be opened"):
        DecisionLog("mysql://me:secret@host/db")
    with pytest.raises(UserError) as told:
        DecisionLog("postgresql+psycopg://me:secret@127.0.0.1:1/db")
    assert "secret" not in str(told.value)


def test_a_damaged_log_is_told(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    log = DecisionLog(f"sqlite:///{file}")
    added(log, *(float(k) for k in range(500)))
    log.close()
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = bytearray(file.read_bytes())
    content[100:4096] = b"\xff" * 3996  # the first page, which says what tables there are
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"cannot be opened as a decision log \((malformed|database disk image)"):
        DecisionLog(f"sqlite:///{file}")
