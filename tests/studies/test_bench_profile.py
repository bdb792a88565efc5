"""`bazaar bench --profile`: the clocks count what is spent, add up, and change nothing."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from policies.cli.main import main
from policies.studies.bench import bench_profile
from policies.studies.bench.bench_profile import PARTS, Clocks, clocked, measure, parts_of
from policies.studies.bench.workloads import Trained, training_loop

SMALL = Trained(markets=32, batch=64)


def test_a_part_within_another_stops_its_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def pass_time(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(bench_profile.time, "perf_counter", lambda: now)
    clocks = Clocks()
    inner = clocks.around(lambda: pass_time(5), ("inner", "x"))

    def work() -> None:
        pass_time(1)
        inner()
        pass_time(2)
        inner()

    outer = clocks.around(work, ("outer", "x"))
    outer()
    pass_time(100)
    outer()
    assert clocks.seconds == {("outer", "x"): 6.0, ("inner", "x"): 20.0}


def test_a_part_that_fails_stops_its_clock() -> None:
    clocks = Clocks()

    def fail() -> None:
        raise OSError

    with pytest.raises(OSError):
        clocks.around(fail, ("a", "x"))()
    assert clocks._running == []


def test_the_device_is_waited_for_before_a_clock_is_read() -> None:
    events: list[str] = []
    clocks = Clocks(lambda: events.append("waited"))
    clocks.around(lambda: events.append("worked"), ("a", "x"))()
    assert events == ["waited", "worked", "waited"]


def test_clocks_change_no_weight_and_come_off_again() -> None:
    loops = [training_loop(SMALL) for _ in range(2)]
    before = {(id(owner), method): method in vars(owner) for owner, method, _ in parts_of(loops[0])}
    with clocked(loops[0], clocks := Clocks()):
        for _ in range(20):
            loops[0].play_period()
    for _ in range(20):
        loops[1].play_period()
    a, b = ([p for one in loop.learners.values() for p in one.algorithm.parameters()] for loop in loops)
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert before == {(id(owner), method): method in vars(owner) for owner, method, _ in parts_of(loops[0])}
    assert not any(before.values()) and {part for part, _ in clocks.seconds} == set(PARTS) - {"rest"}


@pytest.mark.parametrize(
    ("owner", "method", "part"), [("learner", "remember", "remembering"), ("batch", "step", "market step")]
)
def test_time_is_booked_where_it_is_spent(owner: str, method: str, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """4 ms more in each call show up in that part, and in no other."""
    loop = training_loop(SMALL)
    slow: Any = type(loop.learners[0]) if owner == "learner" else type(loop.batch)
    plain = getattr(slow, method)
    monkeypatch.setattr(slow, method, lambda *a, **k: (time.sleep(0.004), plain(*a, **k))[1])
    loop.play_period()
    with clocked(loop, clocks := Clocks()):
        for _ in range(10):
            loop.play_period()
    spent = {key: seconds for key, seconds in clocks.seconds.items() if key[0] == part}
    assert max(spent.values()) > 0.04 and len([s for s in clocks.seconds.values() if s > 0.039]) == 1


def test_the_parts_add_up_to_the_time_of_a_period() -> None:
    found = measure(0.1, SMALL)
    total = sum(sum(spent.values()) for spent in found["parts"].values())
    played = SMALL.markets * 3 / total
    assert list(found["parts"]) == list(PARTS) and all(found["parts"].values())
    assert found["rounds"] >= 3 and played == pytest.approx(found["seller_periods_per_second"]["with_clocks"], rel=0.5)
    assert {"dqn", "a2c", "ddpg"} == found["parts"]["acting"].keys() == found["parts"]["optimiser"].keys()


def test_the_command_prints_and_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "profile.json"
    assert main(["bench", "--profile", "--seconds", "0.1", "--json", str(path)]) == 0
    printed, report = capsys.readouterr().out, json.loads(path.read_text())
    assert all(part in printed for part in PARTS) and "the clocks cost" in printed
    assert set(report) == {"machine", "profile"} and list(report["profile"]["parts"]) == list(PARTS)
