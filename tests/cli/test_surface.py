"""The commands as Python functions: light to import, typed, silent unless asked, each with an example that runs."""

from __future__ import annotations

import contextlib
import inspect
import io
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from rich.console import Console

import policies
import policies.training.loop  # so that no pictures are drawn
from market.errors import UserError
from market.spec.models import MarketSpec
from policies.cli.commands import COMMANDS
from policies.config.command import option
from policies.config.learners import KINDS, DQNOptions
from policies.evaluation import line_ups
from policies.learners.registry import BUILDERS
from policies.sellers.rules import compose
from policies.sellers.rules.base import Rule, Seat
from policies.sellers.rules.pricing import PRICING, PricingRule
from policies.sellers.rules.replenishment import REPLENISHMENT, ReplenishmentRule, order_up_to
from tests.helpers.shadowed import in_shadow
from tests.helpers.small_run import SMALL, small_run

ROOT = Path(__file__).parents[2]
COSTLY = {"numpy", "numba", "pandas", "torch", "tianshou", "pydantic", "rich", "matplotlib", "cyclopts"}


def fresh(code: str) -> str:
    given: dict[str, Any] = {"env": os.environ | {"PYTHONPATH": str(ROOT)}, "capture_output": True, "text": True}
    return subprocess.run([sys.executable, "-c", code], check=True, **given).stdout.strip()


def test_importing_is_light() -> None:
    assert fresh(f"import sys, policies; print({COSTLY} & set(sys.modules))") == "set()"


def test_a_refused_option_and_help_need_nothing_that_learns() -> None:
    heavy = COSTLY - {"rich", "cyclopts"}
    for words in (["train", "--help"], ["train", "x", "--budget", "0"]):
        code = (
            f"import sys, contextlib, io\nfrom policies.cli.main import main\n"
            f"with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()): main({words})\n"
            f"print({heavy} & set(sys.modules))"
        )
        assert fresh(code) == "set()"


def test_names_are_those_that_are_found() -> None:
    assert set(policies.__all__) == set(policies._PLACES) <= set(dir(policies))
    for name in policies.__all__:
        assert getattr(policies, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        policies.trian  # noqa: B018


def test_type_checkers_know_the_same_names() -> None:
    source = inspect.getsource(policies)
    typed = source.split("if TYPE_CHECKING:")[1].split("_PLACES")[0]
    for name, place in policies._PLACES.items():
        module, _, attribute = place.partition(":")
        assert f"from {module} import {attribute}{f' as {name}' if name == attribute else ''}\n" in typed
    assert "rollout, build_rule = play, build" in typed


def test_every_command_is_a_function_with_its_options() -> None:
    """But for those that serve, copy or name something."""
    for forms in COMMANDS.values():
        for order, work in forms:
            if work.startswith("cli."):
                continue
            function = getattr(policies, work)
            assert list(inspect.signature(function).parameters) == [field.alias for field in _in_order(order)]
            assert all(option(field) or field.name in ("console", "command") for field in attrs.fields(order))


def _in_order(order: Any) -> list[Any]:
    return sorted(attrs.fields(order), key=lambda field: bool(field.kw_only))


# ------------------------------------------------------------------------------------------------ examples


def example(name: str) -> str:
    """What stands below "Example::" in the docstring."""
    text = inspect.getdoc(getattr(policies, name)) or ""
    return textwrap.dedent(text.split("Example::\n")[1])


@pytest.fixture(scope="module", autouse=True)
def _tables() -> Any:
    """The examples add to tables of the whole process."""
    kept = dict(PRICING), dict(REPLENISHMENT), dict(BUILDERS), dict(KINDS)
    yield
    for table, before in zip((PRICING, REPLENISHMENT, BUILDERS, KINDS), kept, strict=True):
        table.clear()
        table.update(before)  # type: ignore[arg-type]


@pytest.fixture(scope="module", autouse=True)
def _one_competitor() -> Iterator[None]:
    """Runs of the examples are compared with one competitor: with all that are usual it takes four times as long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_ups, "usual_competitors", lambda spec: ["nash+base_stock"])
        yield


@pytest.fixture(scope="module", name="scratch")
def _scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the example of ``train`` has run."""
    folder = tmp_path_factory.mktemp("examples")
    assert "runs/first" in run_example("train", folder)
    return folder


def run_example(name: str, folder: Path) -> str:
    printed = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
        exec(compile(example(name), name, "exec"), {"__name__": "example"})  # noqa: S102
    return printed.getvalue()


NEEDS = {"calibrate": "pyblp", "update": "pyblp", "forecast": "statsforecast"}
AFTER = {"resume_seeds": "train_seeds"}
UNTIL_STOPPED = "serve"
ALONE = [name for name in policies.__all__ if name not in ("Run", "train", UNTIL_STOPPED, *AFTER.values())]


@pytest.mark.parametrize("name", ALONE)
def test_the_example_of_a_function_runs(name: str, scratch: Path) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    if name == "shadow":
        in_shadow(scratch / "runs" / "first" / "decisions.db", scratch / "runs" / "first")
    if name in AFTER:
        assert run_example(AFTER[name], scratch)
    assert run_example(name, scratch)


# ------------------------------------------------------------------------------------------------ what they return


def test_nothing_is_printed_unless_asked(capsys: pytest.CaptureFixture[str]) -> None:
    given: dict[str, Any] = {
        "seller": "nash",
        "against": "nash",
        "episodes": 4,
        "changes": "evaluation.competitors=[nash]",
    }
    rows = policies.evaluate("duopoly", **given).records()
    assert capsys.readouterr() == ("", "")
    said = Console(file=io.StringIO(), width=150)
    assert policies.evaluate("duopoly", console=said, **given).records() == rows
    assert "left against nash" in said.file.getvalue()  # type: ignore[attr-defined]


def test_a_run_is_read_back() -> None:
    run = policies.load_run(str(small_run()))
    assert run.spec.names == ["left", "right"] and run.seed == 0 and len(run.sellers) == 2
    frame = run.to_frame()
    assert set(frame["seat"]) == {"left", "right"} and len(frame) == len(run.records())
    assert {"step", "metric"} & set(run.metrics().columns)
    with pytest.raises(UserError, match="is not a run"):
        policies.load_run(ROOT)


def test_a_mistake_in_python_reads_as_one_on_the_command_line() -> None:
    for given, message in (
        ({"budget": 0}, "--budget: must be at least 1, got 0"),
        ({"device": "tpu"}, "--device: must be auto, cpu or cuda, got 'tpu'"),
        ({"seed": 1.5}, "--seed: must be a whole number >= 0, got '1.5'"),
    ):
        with pytest.raises(UserError, match=message):
            policies.train("duopoly", **given)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------ one's own


class Lowest(PricingRule):
    """The lowest price of the range, and a bit."""

    more: float = 0.0

    def usual(self, seat: Seat) -> float:
        return seat.seller.prices[0] + self.more


class Tens(ReplenishmentRule):
    """Up to ten."""

    def bind(self, seat: Seat, price: Any) -> Rule:
        return order_up_to(10.0)


def test_rules_of_ones_own_are_composed_with_others() -> None:
    policies.register_rule("lowest", Lowest)
    policies.register_rule("tens", Tens)
    spec = MarketSpec.load("duopoly")
    seller = policies.build_rule("lowest(more=0.25)+tens", spec, seat=1)
    assert seller.label == "lowest(more=0.25)+tens" == compose.parse_rules(seller.label).label
    ledger = policies.rollout(spec, [policies.build_rule("nash", spec, 0), seller], markets=3)
    assert np.all(ledger["price"][:, :, 1] == spec.sellers[1].prices[0] + 0.25)
    for name, message in (("lowest", "there is a rule of that name"), ("my-rule", "must be letters")):
        with pytest.raises(UserError, match=message):
            policies.register_rule(name, Lowest)


def test_a_learner_of_ones_own_is_trained(tmp_path: Path) -> None:
    class Hasty(DQNOptions):
        gamma: float = 0.5

    policies.register_learner("hasty_test", Hasty, BUILDERS["dqn"].build, ("grid",))
    given = (*SMALL, "training.budget=2000", "seats.left=hasty_test", "learners.hasty_test.warm_up=200")
    run = policies.train("duopoly", device="cpu", runs=tmp_path, name="run", changes=given)
    assert "left (hasty_test)" in set(run.to_frame()["policy"])
    with pytest.raises(UserError, match="there is a learner of that name"):
        policies.register_learner("dqn", Hasty, BUILDERS["dqn"].build, ("grid",))
