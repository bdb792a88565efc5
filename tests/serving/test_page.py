"""The page at /: in a real browser it asks, decides and draws."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from policies.serving.app import application
from policies.serving.desk import Desk
from policies.serving.log import DecisionLog
from policies.views.page import rendered
from tests.helpers.browser import FLAGS, browser

CLICKS = """<script>
const wait = done => new Promise(go => { const look = () => done() ? go() : setTimeout(look, 20); look(); });
(async () => {
  await wait(() => document.getElementById("field price") && !document.getElementById("decide").disabled);
  document.getElementById("field price").value = "1.2";
  document.getElementById("field lost").value = "";
  document.getElementById("decide").click();
  await wait(() => document.querySelector("#answer h2") && !document.getElementById("look").disabled);
  document.getElementById("look").click();
})();
</script></body>"""


@pytest.fixture(name="address")
def _address(desks: dict[str, Desk], log: DecisionLog) -> Iterator[str]:
    """A server whose page at /clicked is used by a script."""
    app = application(desks, log)

    async def clicked(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != "/clicked":
            await app(scope, receive, send)
            return
        page = rendered("serving.html", version="1").replace("</body>", CLICKS).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": page})

    server = uvicorn.Server(uvicorn.Config(clicked, port=0, log_level="error"))
    listening = server.config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.mark.skipif(browser() is None, reason="no Chromium here: Debian's package chromium has it")
def test_a_form_is_made_filled_in_and_answered(address: str, log: DecisionLog, tmp_path: Path) -> None:
    reached = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    command = [str(browser()), *FLAGS, reached, f"--user-data-dir={tmp_path}", f"{address}/clicked"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    dom = done.stdout
    assert not re.search(r"CONSOLE.*(Error|Refused)", done.stderr), done.stderr
    labels = re.findall(r'<label for="field ([^"]+)"', dom)
    assert {"on_hand", "price", "rivals.right.price", "rivals.right.in_stock"} <= set(labels)
    (kept,) = log.decisions()
    assert kept["state"]["price"] == 1.2 and "lost" not in kept["state"]
    assert f"Decision {kept['decision']}" in dom and "Outside what was met in training: price 1.2" in dom
    assert "Not given, taken as: lost 0" in dom and "What it is worth" in dom and "as last period" in dom
    assert dom.count("<svg") == 2 and '<p id="trouble" class="missing" role="alert" hidden' in dom


def test_it_fetches_nothing_from_elsewhere() -> None:
    page = rendered("serving.html", version="1")
    assert "connect-src 'self'" in page and not re.search(r"(src|href)=\"(https?:)?//", page)
