"""`bazaar export`: the file decides what the seller decides, of every network, and plays without Bazaar."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from market.errors import UserError
from market.simulation.decisions import Decisions
from market.simulation.observation import feature_list
from market.spec.models import MarketSpec
from policies import decide, export
from policies.deployment.decider import Decider, market_states
from policies.deployment.graph import SellerGraph
from policies.deployment.onnx_file import OnnxSeller, checked, graph_of, memory_names, onnx_bytes
from policies.evaluation.run_sellers import run_sellers
from policies.explain.states import views
from policies.networks.architecture import Architecture, build
from policies.sellers.network_seller import NetworkSeller
from tests.helpers.explained import MADE, RICH
from tests.helpers.extras import needs
from tests.helpers.markets import a_market
from tests.helpers.small_run import small_run

a_run = pytest.fixture(scope="session", name="a_run")(small_run)
ROWS, STEPS = 60, 3
STOCK = {"holding_cost": 0.1, "lead_time": 3, "stock": 10, "prices": [1, 4], "center": {"price": 1.5, "level": 6}}
LINGERING = a_market(
    STOCK, STOCK | {"lead_time": 1, "order_cost": 4}, horizon=20, price_form="log", season=[-0.2, 0.3],
    reference_price={"memory": 0.7, "weight": 1.0}, observe=["demand_forecast"],
    locations=[{"name": "north", "quality": [2, 2]}, {"name": "south", "size": 2.5, "quality": [1, 3]}],
)  # fmt: skip
GRID = {"actions": "grid", "grid": {"prices": [1.2, 1.7, 2.5], "levels": [0, 5, 9, 14]}}
LISTED = a_market(STOCK | GRID, STOCK | GRID, horizon=20, customers={"weekly": [1, 2, 0.5], "trend": 0.01})
CASES: dict[str, tuple[Any, int, dict[str, Any]]] = {
    "ddpg": (RICH, 0, {"kind": "deterministic"}),
    "gru": (LINGERING, 0, {"kind": "gaussian", "cell": "gru", "cell_size": 8, "normalize": True}),
    "gated lstm": (LINGERING, 1, {"kind": "gated_gaussian", "cell": "lstm", "cell_size": 8}),
    "polynomials of stacks": (LISTED, 0, {"kind": "q", "axes": (3, 4), "degree": 2, "stack": 3, "normalize": True}),
    "parts": (LISTED, 1, {"kind": "q", "axes": (3, 4)}),
    "quantiles": (LISTED, 0, {"kind": "quantile", "quantiles": 5}),
    "categorical": (LISTED, 0, {"kind": "categorical"}),
    "made to order": (MADE, 1, {"kind": "deterministic"}),
}
ENCODINGS = {"q": "grid", "quantile": "grid", "categorical": "grid", "gated_gaussian": "gated"}


def seller_of(case: str) -> tuple[NetworkSeller, SellerGraph]:
    """A seller of random weights, large enough that what it sees matters, and its graph."""
    market, seat, facts = CASES[case]
    spec = MarketSpec.parse(market)
    decisions = Decisions(spec, seat, ENCODINGS.get(facts["kind"], "box"))
    space: Any = decisions.space
    actions = int(getattr(space, "n", 0)) or space.shape[0]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = build(Architecture(observation=len(feature_list(spec)), actions=actions, hidden=(16,), **facts))
        with torch.no_grad():
            for weights in network.parameters():
                weights.mul_(2.0)
        if network.normalizer is not None:
            network.normalizer.mean.uniform_(-0.1, 0.1)
            network.normalizer.variance.uniform_(0.5, 1.5)
            network.normalizer.refresh()
    seller = NetworkSeller(network.requires_grad_(False), decisions)
    return seller, SellerGraph(network, decisions, spec, seat).eval()


def random_inputs(graph: SellerGraph, rng: np.random.Generator) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Fields (ROWS, K) and locations."""
    columns = []
    for field in graph.fields:
        low, high = (1, 4) if field.place[0] in ("price", "reference") else (0, 12)
        drawn = rng.uniform(low, high, ROWS)
        whole = np.floor(rng.uniform(0, graph.spec.horizon, ROWS))
        columns.append(drawn > 6 if field.flag else whole if field.name == "period" else drawn)
    locations = rng.integers(0, max(1, len(graph.spec.locations)), ROWS)
    return np.array(columns, np.float64).T, locations


def told(graph: SellerGraph, values: NDArray[Any], locations: NDArray[np.int64]) -> list[NDArray[Any]]:
    return [*values.T, locations.astype(float)][: len(graph.names)]


@pytest.mark.parametrize("case", CASES)
def test_a_graph_decides_what_its_seller_decides_period_after_period(case: str) -> None:
    seller, graph = seller_of(case)
    rng, memory = np.random.default_rng(0), seller.start(ROWS)
    remembered = [torch.as_tensor(array) for array in memory.values()]
    seen = set()
    for _ in range(STEPS):
        values, locations = random_inputs(graph, rng)
        states = market_states(graph.spec, graph.fields, values, locations)
        ((_, view),) = views(graph.spec, states, graph.seat)
        price, order, memory = seller.act(view, memory)
        inputs = map(torch.as_tensor, told(graph, values, locations))
        found_price, level, found_order, *remembered = graph(*inputs, *remembered)
        whole = np.floor(order + 0.5) if graph.spec.customers.mode == "sampled" else order
        np.testing.assert_allclose(found_price.numpy(), price, rtol=1e-6)
        np.testing.assert_allclose(found_order.numpy(), whole, atol=1e-6)
        wanted = np.where(order > 0, view.on_hand + view.on_order + order, level.numpy())
        np.testing.assert_allclose(level.numpy(), wanted, rtol=1e-6)
        seen |= set(np.round(price, 6))
    assert len(seen) > 2  # the inputs matter


def test_a_calendar_goes_on_beyond_an_episode() -> None:
    _, graph = seller_of("gru")  # a season of two, episodes of 20
    values, locations = random_inputs(graph, np.random.default_rng(1))
    inputs = [torch.as_tensor(one) for one in told(graph, values, locations)]
    remembered = list(graph.network.recall.start(ROWS).values())
    at = graph.names.index("period")
    first = graph(*inputs, *remembered)[0]
    inputs[at] = inputs[at] + 42
    assert torch.equal(graph(*inputs, *remembered)[0], first)
    inputs[at] = inputs[at] + 1
    assert not torch.equal(graph(*inputs, *remembered)[0], first)


SLOW = {"ddpg", "parts", "quantiles", "categorical", "made to order"}


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.slow(seconds=4) if case in SLOW else ()) for case in CASES]
)
@needs("onnxruntime")
def test_a_file_plays_what_its_graph_plays(case: str) -> None:
    _, graph = seller_of(case)
    written = OnnxSeller(onnx_bytes(graph))
    rng = np.random.default_rng(2)
    remembered = {
        name: tensor.numpy()
        for name, tensor in zip(memory_names(graph), graph.network.recall.start(ROWS).values(), strict=True)
    }
    for _ in range(STEPS):
        inputs = told(graph, *random_inputs(graph, rng))
        price, level, order, *after = graph(*map(torch.as_tensor, inputs), *map(torch.as_tensor, remembered.values()))
        found = written(dict(zip(graph.names, inputs, strict=True)) | remembered)
        np.testing.assert_allclose(found["new_price"], price.numpy(), rtol=1e-5)
        np.testing.assert_allclose(found["level"], level.numpy(), rtol=1e-5, atol=1e-5)
        assert np.abs(found["order"] - order.numpy()).max() <= 1  # half a unit may round either way
        remembered = {name: found[f"{name}.next"] for name in remembered}
        for mine, theirs in zip(after, remembered.values(), strict=True):
            np.testing.assert_allclose(theirs, mine.numpy(), atol=1e-5)


# -------------------------------------------------------------------------------------------- the command


@pytest.fixture(scope="module", name="exported")
def _exported(a_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "left"
    found = export(a_run, seller="left", output=folder)
    assert found is not None and found.checked.largest < 1e-5 and found.checked.decisions > 990
    return folder


@needs("onnxruntime")
def test_a_contract_says_what_goes_in_and_comes_out(a_run: Path, exported: Path) -> None:
    contract = json.loads((exported / "contract.json").read_text(encoding="utf-8"))
    decider = Decider(run_sellers(a_run), 0)
    written = OnnxSeller((exported / "seller.onnx").read_bytes()).session
    inputs, outputs = written.get_inputs(), written.get_outputs()
    assert [one["name"] for one in contract["inputs"]] == [one.name for one in inputs]
    assert [one["name"] for one in contract["outputs"]] == [one.name for one in outputs]
    assert all(one.type == "tensor(double)" and one.shape == ["rows"] for one in inputs)
    for one, field in zip(contract["inputs"], decider.fields, strict=True):
        low, usual, high = decider.met.ranges[field.name]
        assert one["met"] == pytest.approx([low, high], abs=1e-5) and one["unit"] == field.unit
        assert one["example"] == pytest.approx(usual, abs=1e-5)
    content = (exported / "seller.onnx").read_bytes()
    assert contract["graph"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert {"README.md", "contract.json", "seller.onnx"} < {path.name for path in exported.iterdir()}


@needs("onnxruntime")
def test_the_folder_is_a_run_that_is_asked_as_the_run_is(a_run: Path, exported: Path, tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(
        json.dumps([{"on_hand": k, "price": 1.8, "sold": 4, "rivals": {"right": {"price": 1.7}}} for k in (2, 9)])
    )
    here, there = (decide(run, tmp_path / "s.json", seller="left", episodes=8, periods=3) for run in (a_run, exported))
    assert here is not None and there is not None and (here.version, there.version) == (a_run.name, exported.name)
    assert [one | {"version": ""} for one in here.records()] == [one | {"version": ""} for one in there.records()]
    (tmp_path / "rails.yaml").write_text("price: [1.2, 1.3]")
    export(a_run, seller="left", rails=tmp_path / "rails.yaml", output=tmp_path / "railed")
    railed = decide(tmp_path / "railed", tmp_path / "s.json", seller="left", episodes=0)
    assert railed is not None and railed.decided.price.max() <= 1.3


def test_the_cards_program_plays_without_bazaar_and_torch(exported: Path) -> None:
    text = (exported / "README.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert program.count("\n") <= 20
    ending = "\nimport sys\nassert not {'torch', 'market', 'policies', 'onnx'} & set(sys.modules)\n"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program + ending], cwd=exported, capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"price [\d.]+, order \d+ \(up to \d+\)\n", done.stdout)
    assert "## Where it ends" in text and "seed 0" in text and "nash" in text


@needs("onnxruntime")
def test_a_graph_that_decides_otherwise_is_not_written(a_run: Path) -> None:
    decider = Decider(run_sellers(a_run), 1)
    graph = graph_of(decider)
    content = onnx_bytes(graph)
    assert checked(content, graph, decider).decisions > 900
    with torch.no_grad():
        for weights in graph.network.parameters():
            weights.mul_(1.1)
    with pytest.raises(UserError, match="decides otherwise than the seller does"):
        checked(content, graph, decider)


def test_what_is_there_is_not_written_over(a_run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="exists already and is not written over"):
        export(a_run, seller="left", output=tmp_path)
    with pytest.raises(UserError, match="the folder .*nosuch does not exist"):
        export(a_run, seller="left", output=tmp_path / "nosuch" / "x")
