"""`bazaar serve` as a process: it starts, refuses what it must, and loses nothing when it is killed."""

from __future__ import annotations

import http.client
import json
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from market.errors import UserError
from policies import export, serve
from policies.config.orders import ServeOrder
from policies.serving.run import desks_of
from policies.storage import lineage
from policies.storage.lineage import Entry
from tests.serving.conftest import STATE

CLIENTS = 4


@contextmanager
def served(run: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server at a free port, which it tells once it listens."""
    command = [sys.executable, "-m", "bazaar_start", "serve", str(run), "--port", "0", *options]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout and process.stderr
        line = next((line for line in process.stdout if line.startswith("Serving")), "")
        found = re.search(r":(\d+)/ \(Ctrl-C ends it\)", line)
        assert found, process.stderr.read()
        try:
            yield process, int(found[1])
        finally:
            process.kill()


def post(connection: http.client.HTTPConnection, key: str, **fields: Any) -> dict[str, Any]:
    body = json.dumps(STATE | {"id": key} | fields)
    connection.request("POST", "/v1/sellers/left/decide", body, {"Idempotency-Key": key})
    answer = connection.getresponse()
    content = answer.read()
    assert answer.status == 200, content
    return dict(json.loads(content)["decisions"][0])


def asking(port: int) -> closing[http.client.HTTPConnection]:
    return closing(http.client.HTTPConnection("127.0.0.1", port))


def under_load(process: subprocess.Popen[str], port: int, moment: int, told: dict[str, Any]) -> None:
    """Clients ask, each key until it is answered, and the server is killed when ``moment`` of them are."""

    def client(number: int) -> None:
        with asking(port) as connection:
            for k in range(1000):
                key = f"{port} {number} {k}"
                try:
                    told[key] = post(connection, key)
                except (OSError, http.client.HTTPException):
                    told.setdefault(key, None)
                    return
                if len(told) >= moment:
                    process.send_signal(signal.SIGKILL)

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(client, range(CLIENTS)))
    process.wait()


def nothing_is_lost(run: Path, folder: Path, moments: list[int]) -> None:
    """Kill at each moment; then every answer is in the log as it was given, and what is asked again is there once."""
    db, told = folder / "x.db", dict[str, Any]()
    for moment in moments:
        with served(run, "--db", str(db)) as (process, port):
            under_load(process, port, len(told) + moment, told)
            assert process.returncode == -signal.SIGKILL
    rows = asked(db, "SELECT request, id, answer FROM decisions")
    kept = {key: (number, json.loads(answer)) for key, number, answer in rows}
    assert len(kept) == len(rows)
    answered = {key: one for key, one in told.items() if one is not None}
    assert len(answered) >= sum(moments) and len(told) > len(answered)
    for key, one in answered.items():
        assert kept[key][0] == one["decision"] and kept[key][1]["price"] == one["price"]
    with served(run, "--db", str(db)) as (_, port), asking(port) as connection:
        for key in told:
            again = post(connection, key)
            assert key not in kept or again["decision"] == kept[key][0]
    assert sorted(key for (key,) in asked(db, "SELECT request FROM decisions")) == sorted(told)


def asked(db: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(db)) as connection:
        return connection.execute(query).fetchall()


def test_killed_at_any_moment_it_loses_nothing_and_has_nothing_twice(a_run: Path, tmp_path: Path) -> None:
    nothing_is_lost(a_run, tmp_path, [7, 31])


@pytest.mark.slow
def test_killed_at_20_moments_it_loses_nothing(a_run: Path, tmp_path: Path) -> None:
    nothing_is_lost(a_run, tmp_path, random.Random(0).sample(range(1, 200), 20))


def test_a_promoted_seller_takes_over_and_no_request_is_dropped(a_run: Path, tmp_path: Path) -> None:
    """Clients ask without a pause while one seller and then the other comes into force; whoever decided, it is one log."""
    run = tmp_path / "run"
    shutil.copytree(a_run, run)
    shutil.copytree(a_run, run / "updates" / "left-1")
    entry = Entry(seller="left", name="left-1", at="now", verdict="promoted")
    with served(run, "--db", str(tmp_path / "x.db")) as (_, port), asking(port) as connection:
        first = post(connection, "first")
        assert first["version"] == "run"
        lineage.add(run, entry)
        versions = until(connection, "left-1")
        assert set(versions) <= {"run", "left-1"} and versions == sorted(versions, reverse=True)  # one after the other
        assert post(connection, "first") == first  # a key is answered as it was
        connection.request("POST", "/v1/sellers/left/outcomes", json.dumps({"decision": first["decision"], "sold": 3}))
        assert json.loads(connection.getresponse().read()) == {"outcomes": 1, "new": 1}
        lineage.roll_back(run, "left", "now")
        until(connection, "run")
    assert asked(tmp_path / "x.db", "SELECT DISTINCT run FROM decisions") == [(str(run),)]


def until(connection: http.client.HTTPConnection, version: str) -> list[str]:
    """The versions that answer, each request as soon as the last is answered, up to the first of this one."""
    found = list[str]()
    while not found or found[-1] != version:
        found.append(post(connection, f"{version} {len(found)}")["version"])
    return found


def test_it_ends_with_ctrl_c_and_answers_with_a_token(a_run: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("word\n")
    with served(a_run, "--db", str(tmp_path / "x.db"), "--token", str(tmp_path / "token")) as (process, port):
        with asking(port) as connection:
            for headers, status in ((dict[str, str](), 401), ({"Authorization": "Bearer word"}, 200)):
                connection.request("GET", "/v1/sellers", headers=headers)
                answer = connection.getresponse()
                answer.read()
                assert answer.status == status
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
        assert process.returncode == 130 and "Traceback" not in errors


# ------------------------------------------------------------------------------------------------ what is refused


def test_a_port_that_is_taken(a_run: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"--port {port}: cannot listen there .*; --port chooses another"):
            serve([a_run], port=port)


def test_an_address_that_others_reach_needs_a_token(a_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BAZAAR_TOKEN", raising=False)
    for host in ("0.0.0.0", "example.org", "::"):
        with pytest.raises(UserError, match=f"--host {host}: others can reach it: --token FILE"):
            serve([a_run], host=host)


def test_a_token_that_is_none(a_run: Path, tmp_path: Path) -> None:
    file = tmp_path / "token"
    for content, message in ((b"\n", "its first line must be the token"), (b"\xff\xfe", "cannot be read")):
        file.write_bytes(content)
        with pytest.raises(UserError, match=message):
            serve([a_run], token=file)


def test_two_sellers_of_one_name(a_run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="its seller left has the name of one of"):
        serve([a_run, a_run], port=0, db=str(tmp_path / "x.db"))


def test_of_an_exported_folder_its_seller_is_served(a_run: Path, tmp_path: Path) -> None:
    export(a_run, seller="right", output=tmp_path / "right")
    order = ServeOrder([tmp_path / "right"])
    assert list(desks_of(order)) == ["right"] and list(desks_of(ServeOrder([a_run]))) == ["left", "right"]


def test_a_database_that_is_no_log(a_run: Path, tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("no database " * 500)
    with pytest.raises(UserError, match="cannot be opened as a decision log"):
        serve([a_run], port=0, db=str(tmp_path / "x.db"))
