"""A served run, and the databases that its log can be in."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")
pytest.importorskip("prometheus_client", reason="the extra serve is not installed")

from policies.config.rails import Rails
from policies.deployment.decider import Decider
from policies.evaluation.run_sellers import run_sellers
from policies.serving.desk import Desk
from policies.serving.log import DecisionLog
from tests.helpers.small_run import small_run

a_run = pytest.fixture(scope="session", name="a_run")(small_run)
RAILS = Rails(price=(1.5, 1.9), multiple=5, fallback="nash+base_stock", outside=100.0)
STATE: dict[str, Any] = {"on_hand": 12, "price": 1.8, "sold": 6, "lost": 0, "rivals": {"right": {"price": 1.75}}}


@pytest.fixture(scope="session", name="decider")
def _decider(a_run: Path) -> Decider:
    return Decider(run_sellers(a_run), 0, RAILS)


@pytest.fixture(scope="session", name="desks")
def _desks(a_run: Path, decider: Decider) -> dict[str, Desk]:
    found = {"left": Desk(decider), "right": Desk(Decider(run_sellers(a_run), 1))}
    for desk in found.values():
        desk.warm()
    return found


@pytest.fixture(name="log")
def _log(tmp_path: Path) -> Iterator[DecisionLog]:
    log = DecisionLog(f"sqlite:///{tmp_path / 'decisions.db'}")
    yield log
    log.close()


# ------------------------------------------------------------------------------------------------ PostgreSQL


@pytest.fixture(scope="session", name="postgres")
def _postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server of this session's own."""
    pytest.importorskip("psycopg", reason="no psycopg here, which reaches PostgreSQL")
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = shutil.which("initdb") or next((str(path) for path in reversed(programs)), None)
    if found is None:
        pytest.skip("no PostgreSQL here: Debian's package postgresql has it")
    own = _whoever_may()
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        if own:
            shutil.chown(folder, own["user"], own["group"])
        bin, data = Path(found).parent, f"{folder}/data"
        run: dict[str, Any] = {"capture_output": True, "cwd": folder, **own}
        subprocess.run([found, "-D", data, "-U", "bazaar", "-A", "trust", "-E", "UTF8", "--no-sync"], check=True, **run)
        options = f"-k {folder} -c listen_addresses= -c fsync=off"
        subprocess.run(
            [bin / "pg_ctl", "-D", data, "-w", "-l", f"{folder}/log", "-o", options, "start"], check=True, **run
        )
        try:
            yield f"postgresql+psycopg://bazaar@/postgres?host={folder}"
        finally:
            subprocess.run([bin / "pg_ctl", "-D", data, "-m", "immediate", "stop"], check=True, **run)


def _whoever_may() -> dict[str, Any]:
    """PostgreSQL does not run for the superuser: whose it is then."""
    if os.getuid() != 0:
        return {}
    try:
        postgres = pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("no user postgres here, and PostgreSQL does not run for root")
    return {"user": postgres.pw_uid, "group": postgres.pw_gid}
