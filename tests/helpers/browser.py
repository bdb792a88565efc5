"""Opens a page in headless Chromium with the network off and tells what happened."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=20000",
    "--enable-logging=stderr",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--dump-dom",
)
OWN_HOSTS = (".google.com", ".googleapis.com")  # what Chromium itself asks for, in vain
CONSOLE = re.compile(r"CONSOLE[:(]\d+[\])]+ (.*)")


@cache
def browser() -> str | None:
    """The browser's program, or None where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@dataclass(frozen=True)
class Seen:
    """The page's DOM once its scripts have run, what it wrote to the console, and what it asked the network for."""

    dom: str
    console: list[str]
    requests: list[str]

    @property
    def charts(self) -> int:
        """Charts that were really drawn: plotly's containers that hold a drawing with traces in it."""
        parts = re.split(r'class="plotly-graph-div', self.dom)[1:]
        return sum(
            'class="main-svg"' in part and re.search(r"<g class=\"[^\"]*(trace|hm|coloraxis)", part) is not None
            for part in parts
        )


def visit(page: Path) -> Seen:
    """Open a file and wait for its scripts."""
    program = browser()
    assert program is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        log = Path(folder) / "net.json"
        places = (f"--user-data-dir={folder}/profile", f"--log-net-log={log}")
        command = [program, *FLAGS, *places, page.resolve().as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
        return Seen(done.stdout, CONSOLE.findall(done.stderr), _requests(log))


def _requests(log: Path) -> list[str]:
    events = json.loads(log.read_text())["events"]
    urls = {event["params"]["url"] for event in events if "url" in event.get("params", {})}
    hosts = {url: urlsplit(url).hostname or "" for url in urls if url.startswith(("http:", "https:", "ws:", "wss:"))}
    return sorted(url for url, host in hosts.items() if not f".{host}".endswith(OWN_HOSTS))
