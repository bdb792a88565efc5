"""`bazaar board`: TensorBoard on the runs."""

from __future__ import annotations

import signal
import subprocess
import sys

from market.errors import UserError
from policies.common.console import waits
from policies.common.interrupt import careful
from policies.config.command import ordered_by
from policies.config.orders import BoardOrder


@ordered_by(BoardOrder)
def carry_out(order: BoardOrder) -> None:
    """Carry out `bazaar board`: start TensorBoard and wait for it; Ctrl-C ends it."""
    runs, host, port = order.runs, order.host, order.port
    if not runs.is_dir():
        raise UserError(f"{runs}: there is no such folder; bazaar train makes it")
    if not any(runs.rglob("events.out.tfevents.*")):
        raise UserError(f"{runs}: holds no run yet; bazaar train configs/duopoly.yaml makes one")
    waits(order.console)
    print(f"TensorBoard on {runs}: http://{host}:{port}/ (Ctrl-C ends it)", flush=True)
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(runs), "--host", host, "--port", str(port)]
    process = subprocess.Popen([*command, "--reload_multifile", "true"])
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        with careful():
            status = process.wait()
    except KeyboardInterrupt:
        # A terminal sends Ctrl-C to both processes; one that was sent to this one alone must end both too.
        process.terminate()
        process.wait()
        return
    if status not in (0, -signal.SIGTERM):
        raise UserError(f"TensorBoard ended with status {status} (is port {port} taken? --port chooses another)")
