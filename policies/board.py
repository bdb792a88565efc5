"""`bazaar board`: TensorBoard on the runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from market.errors import Refusal


def serve(runs: Path, host: str, port: int) -> None:
    """Start TensorBoard and wait for it; Ctrl-C ends it."""
    if not runs.is_dir():
        raise Refusal(f"{runs}: there is no such folder; bazaar train makes it")
    if not any(runs.rglob("events.out.tfevents.*")):
        raise Refusal(f"{runs}: holds no run yet; bazaar train configs/duopoly.yaml makes one")
    print(f"TensorBoard on {runs}: http://{host}:{port}/ (Ctrl-C ends it)", flush=True)
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(runs), "--host", host, "--port", str(port)]
    status = subprocess.run(command, check=False).returncode
    if status not in (0, -2):
        raise Refusal(f"TensorBoard ended with status {status} (is port {port} taken? --port chooses another)")
