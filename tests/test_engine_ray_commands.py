"""The commands on Ray: what they leave is what they leave without it, to the bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from small_run import DUOPOLY, SMALL, small_run
from test_train_seeds import metrics
from test_tune import order as tune_order
from test_tune import rows

from market.errors import Refusal
from policies.seeds_course import Means
from policies.tournament import run_tournament
from policies.tournament_folder import TournamentOrder
from policies.train_seeds import train_seeds
from policies.training import TrainOrder
from policies.tune import tune

pytest.importorskip("ray", reason="Ray is not installed: pip install 'bazaar-market[ray]'")
pytestmark = pytest.mark.slow


def named(run: Path) -> set[str]:
    """Files by name, but for events, whose names tell the time, and what serves only to go on with the run."""
    files = (path.relative_to(run) for path in run.rglob("*") if path.is_file())
    return {str(path) for path in files if "tfevents" not in path.name and path.parts[0] != "state"}


def test_seeds_on_ray_are_the_runs_that_they_are_alone(tmp_path: Path) -> None:
    """Files come back as bytes: what the run leaves is what it leaves here, figures and weights to the bit."""
    order = TrainOrder(DUOPOLY, device="cpu", changes=SMALL, name="seeds", runs=tmp_path)
    folder = train_seeds(order, 2, Means(2, "auto"), Console(quiet=True))
    assert metrics(folder / "seed-0") == metrics(small_run())
    assert named(folder / "seed-0") == named(small_run())
    for path in (small_run() / "checkpoints").iterdir():
        assert (folder / "seed-0" / "checkpoints" / path.name).read_bytes() == path.read_bytes()
    here = [len(list(run.rglob("events.out.tfevents.*"))) for run in (small_run(), folder / "seed-1")]
    assert here[0] == here[1]


def test_a_search_on_ray_is_the_search_that_it_is_here(tmp_path: Path) -> None:
    wanted = tune_order(tmp_path, "here", trials=3)
    here = tune(wanted, Console(quiet=True))
    there = tune(replace(wanted, name="there", processes=2, ray="auto"), Console(quiet=True))
    assert rows(there) == rows(here)


def test_a_tournament_on_ray_is_the_tournament_that_it_is_here(tmp_path: Path) -> None:
    entries = (str(small_run()), "nash+base_stock", "cost_plus+base_stock")
    wanted = TournamentOrder(entries, episodes=32, runs=tmp_path, name="here", processes=1)
    here = run_tournament(wanted, Console(quiet=True))
    there = run_tournament(replace(wanted, name="there", processes=2, ray="auto"), Console(quiet=True))
    cells = sorted(path.name for path in (here / "cells").iterdir())
    assert sorted(path.name for path in (there / "cells").iterdir()) == cells
    for name in cells:
        assert (here / "cells" / name).read_bytes() == (there / "cells" / name).read_bytes()
    assert (here / "payoffs.csv").read_bytes() == (there / "payoffs.csv").read_bytes()


def test_a_ray_that_cannot_be_reached_is_a_message(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"--ray 127\.0\.0\.1:9: cannot be reached"):
        tune(tune_order(tmp_path, "t", ray="127.0.0.1:9"), Console(quiet=True))
