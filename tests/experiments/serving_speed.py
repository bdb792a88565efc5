"""How long a served decision takes, the log included: `python -m tests.experiments.serving_speed RUN --output FILE`.

The server runs in a process of its own on one core, the client on another; requests go over loopback, one at a time, at a
steady rate.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
STATES = 1000  # of a large request


def main() -> None:
    """Measure and write."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("run", type=Path)
    reader.add_argument("--rate", type=float, default=200.0, help="requests a second")
    reader.add_argument("--requests", type=int, default=4000)
    reader.add_argument("--output", type=Path)
    asked = reader.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        single, many = _measured(asked, Path(folder))
    text = _table(asked, single, many, load)
    print(text)
    if asked.output:
        asked.output.write_text(text, encoding="utf-8")


def _measured(asked: Any, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Milliseconds of single decisions and of large requests."""
    command = [
        sys.executable,
        "-m",
        "bazaar_start",
        "serve",
        str(asked.run.resolve()),
        "--port",
        "0",
        "--db",
        str(folder / "x.db"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        os.sched_setaffinity(server.pid, {0})
        assert server.stdout is not None
        line = next(line for line in server.stdout if line.startswith("Serving"))
        for thread in Path(f"/proc/{server.pid}/task").iterdir():  # those begun before the process was bound
            os.sched_setaffinity(int(thread.name), {0})
        os.sched_setaffinity(0, set(range(1, os.cpu_count() or 2)) or {0})
        found = re.search(r"Serving ([^,:]+).*:(\d+)/", line)
        assert found is not None
        path = f"/v1/sellers/{found[1]}"
        connection = http.client.HTTPConnection("127.0.0.1", int(found[2]))
        try:
            connection.request("GET", path)
            state = json.loads(connection.getresponse().read())["example_state"]
            _times(connection, path, state, 200, 0.0)
            single = _times(connection, path, state, asked.requests, 1 / asked.rate)
            return single, _times(connection, path, [state] * STATES, 20, 0.0)
        finally:
            connection.close()
            server.terminate()


def _times(connection: http.client.HTTPConnection, path: str, body: Any, count: int, gap: float) -> np.ndarray:
    content, found, began = json.dumps(body), [], time.perf_counter()
    for k in range(count):
        time.sleep(max(0.0, began + k * gap - time.perf_counter()))
        asked = time.perf_counter()
        connection.request("POST", f"{path}/decide", content, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
        found.append(1000 * (time.perf_counter() - asked))
    return np.array(found)


def _table(asked: Any, single: np.ndarray, many: np.ndarray, load: float) -> str:
    p50, p90, p99 = np.percentile(single, [50, 90, 99])
    return (
        "# A served decision\n\n"
        f"`python -m tests.experiments.serving_speed {asked.run}`, {date.today()}, Python {platform.python_version()}, "
        f"{os.cpu_count()} cores, load {load:.1f} at the start. The server on one core, its log an SQLite file; milliseconds as the "
        "client sees them over loopback.\n\n"
        "| requests | p50 | p90 | p99 |\n| --- | --- | --- | --- |\n"
        f"| {len(single):,} of one state, {asked.rate:.0f} a second | {p50:.1f} | {p90:.1f} | {p99:.1f} |\n"
        f"| {len(many)} of {STATES:,} states | {np.median(many):.0f} | {np.percentile(many, 90):.0f} | {many.max():.0f} |\n"
    )


if __name__ == "__main__":
    main()
