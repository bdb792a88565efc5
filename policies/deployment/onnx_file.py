"""A seller's graph as one ONNX file, and what that file decides beside the seller itself.

B rows. Inputs and outputs are named: fields by their names, memories as ``memory.NAME`` and ``memory.NAME.next``.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from market.errors import UserError
from market.state import Floats, Ints
from policies.deployment.decider import Decider, market_states
from policies.deployment.fields import PERIOD
from policies.deployment.graph import SellerGraph
from policies.explain.states import RolloutStates, views
from policies.networks.heads import Actor, QuantileNetwork
from policies.sellers.network_seller import NetworkSeller

MISSING = "needs onnx, onnxscript and onnxruntime: pip install 'bazaar-market[serve]'"
DECISIONS = ("new_price", "level", "order")
OPSET = 20
STATES, STEPS = 1000, 4
CLOSE = 1e-5  # relative difference of what is decided; decisions that torch itself takes by less are set apart
WIDER = 0.25  # of the range that was met: how far beyond it states are drawn


@dataclass(frozen=True)
class Checked:
    """Decisions compared, the largest relative difference among them, and those too close to call that were left out."""

    decisions: int
    largest: float
    close_calls: int


def graph_of(decider: Decider) -> SellerGraph:
    """The graph of a run's seller. Raises :class:`UserError` for one that is no network of this market."""
    seller, player = decider.seller, decider.run.players[decider.seat]
    if not isinstance(seller, NetworkSeller) or seller.adapters:
        name = decider.spec.names[decider.seat]
        raise UserError(
            f"{decider.run.folder}: seller {name} ({player.label}) is not one network that learned in this market"
        )
    return SellerGraph(seller.network, seller.decisions, decider.spec, decider.seat)


def memory_names(graph: SellerGraph) -> list[str]:
    """Inputs that hold what the network remembers."""
    return [f"memory.{name}" for name in graph.memory]


def onnx_bytes(graph: SellerGraph) -> bytes:
    """The file's content. Raises :class:`UserError` where what writes it is not installed."""
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise UserError(MISSING) from None
    told = [torch.full((2,), 1.5, dtype=torch.float64) for _ in graph.names]
    rows = torch.export.Dim("rows")
    example = (*told, *graph.network.recall.start(2).values())
    memory = memory_names(graph)
    with _quiet(), torch.no_grad():
        program: Any = torch.onnx.export(
            graph.eval(),
            example,
            input_names=[*graph.names, *memory],
            output_names=[*DECISIONS, *(f"{name}.next" for name in memory)],
            dynamic_shapes=(tuple({0: rows} for _ in example),),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
        file = io.BytesIO()
        program.save(file, external_data=False)
    return file.getvalue()


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's remarks concern those who wrote it."""
    logger, silence = logging.getLogger("torch.onnx"), io.StringIO()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(silence), redirect_stderr(silence):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


class OnnxSeller:
    """A written seller, played by onnxruntime on one thread."""

    def __init__(self, content: bytes) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise UserError(MISSING) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(content, options)
        self.outputs = [one.name for one in self.session.get_outputs()]

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Outputs by name, (B,) each but for memories."""
        return dict(zip(self.outputs, self.session.run(None, dict(inputs)), strict=True))


def checked(content: bytes, graph: SellerGraph, decider: Decider, seed: int = 0) -> Checked:
    """Play the file and the seller side by side from random states, period after period, each with its own memory.

    Raises :class:`UserError` where they decide otherwise.
    """
    seller = decider.seller
    assert isinstance(seller, NetworkSeller)
    rng, written = np.random.default_rng(seed), OnnxSeller(content)
    mine = seller.start(STATES)
    theirs = {f"memory.{name}": array for name, array in mine.items()}
    decisions, largest, close = 0, 0.0, 0
    for _ in range(STEPS if mine else 1):
        values, location = _random_values(decider, rng)
        states = market_states(decider.spec, graph.fields, values, location)
        price, level, margin, mine = _decided(decider, seller, states, mine)
        found = written(dict(zip(graph.names, [*values.T, location.astype(np.float64)], strict=False)) | theirs)
        theirs = {name: found[f"{name}.next"] for name in theirs}
        clear = margin > CLOSE
        largest = max(largest, _off(found["new_price"], price, clear), _off(found["level"], level, clear))
        decisions, close = decisions + int(clear.sum()), close + int((~clear).sum())
    if not largest <= CLOSE:
        raise UserError(f"the graph decides otherwise than the seller does (by {largest:.1e}); nothing is written")
    return Checked(decisions, largest, close)


def _off(one: Floats, other: Floats, where: NDArray[np.bool_]) -> float:
    """The largest difference relative to the other's size, a unit at least."""
    return float((np.abs(one - other) / np.maximum(np.abs(other), 1.0))[where].max(initial=0.0))


def _random_values(decider: Decider, rng: np.random.Generator) -> tuple[Floats, Ints]:
    """States (B, K) in and around what the seller met, and their locations (B,)."""
    columns = []
    for field in decider.fields:
        low, _, high = decider.met.ranges[field.name]
        width = max(high - low, field.reach)
        drawn = rng.uniform(max(low - WIDER * width, field.least), high + WIDER * width, STATES)
        if field.flag:
            drawn = (drawn > low + width / 2).astype(np.float64)
        columns.append(np.floor(rng.uniform(0, decider.spec.horizon, STATES)) if field.name == PERIOD else drawn)
    location = rng.integers(0, max(1, len(decider.spec.locations)), STATES)
    return np.array(columns).T.reshape(STATES, len(columns)), location


def _decided(
    decider: Decider, seller: NetworkSeller, states: RolloutStates, memory: dict[str, NDArray[Any]]
) -> tuple[Floats, Floats, Floats, dict[str, NDArray[Any]]]:
    """Price and level (B,) of the seller, by how much the network prefers what it decides, and its memory then.

    Of a position of 0 the order is the level; orders are whole units, and half a unit may go either way.
    """
    price, level, margin = np.empty(len(states)), np.empty(len(states)), np.empty(len(states))
    after = {name: array.copy() for name, array in memory.items()}
    for part, view in views(decider.spec, states, decider.seat):
        before = {name: array[part] for name, array in memory.items()}
        empty = np.zeros_like(view.on_hand)
        price[part], level[part], now = seller.act(replace(view, on_hand=empty, on_order=empty), before)
        margin[part] = _margin(seller.network, seller.seen(view), before)
        for name, array in now.items():
            after[name][part] = array
    return price, level, margin, after


@torch.no_grad()
def _margin(actor: Actor, seen: NDArray[np.float32], memory: Mapping[str, NDArray[Any]]) -> Floats:
    """How far the network is from deciding otherwise (B,): of values, the best before the second; of a gate, from 0."""
    state = {name: torch.as_tensor(array) for name, array in memory.items()}
    body, _ = actor.recall(torch.as_tensor(seen), state)
    kind = actor.architecture.kind
    if kind in ("q", "quantile", "categorical"):
        values = actor.quantiles(body) @ actor.emphasis if isinstance(actor, QuantileNetwork) else actor.body(body)
        if values.shape[1] < 2:
            return np.full(len(seen), np.inf)
        best = values.topk(2, dim=1).values
        size = best[:, 0].abs().clamp(min=1.0)
        return np.asarray(((best[:, 0] - best[:, 1]) / size).numpy(), np.float64)
    action = actor.greedy(body)
    gated = action.shape[1] > 2
    return np.asarray(
        (actor.body(body)[:, 2].abs() if gated else torch.full((len(seen),), torch.inf)).numpy(), np.float64
    )
