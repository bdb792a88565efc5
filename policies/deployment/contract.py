"""What goes with an exported seller: its contract, what goes in and comes out, and a card that says what it is.

Both are texts about a :class:`~policies.deployment.graph.SellerGraph`.
"""

from __future__ import annotations

import hashlib
import platform
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from policies.common.files import read_json, timestamp
from policies.deployment.decider import Decider
from policies.deployment.fields import PERIOD, Field, cycle_of
from policies.deployment.graph import SellerGraph
from policies.deployment.onnx_file import DECISIONS, OPSET, Checked, memory_names
from policies.storage.run_folder import ANALYSIS, read_about

GRAPH, CONTRACT = "seller.onnx", "contract.json"
VERSION = 1
USED = ("bazaar-market", "torch", "onnx", "onnxscript", "onnxruntime", "numpy")
DECIMALS = 6


def contract_of(
    decider: Decider, graph: SellerGraph, content: bytes, found: Checked, checkpoint: str
) -> dict[str, Any]:
    """What whoever plays the graph must know, as plain data."""
    about = described(decider)
    return {
        "contract": VERSION,
        **about,
        "policy": about["policy"] | {"checkpoint": checkpoint},
        "graph": {"file": GRAPH, "sha256": hashlib.sha256(content).hexdigest(), "opset": OPSET},
        "memory": [
            {
                "name": name,
                "next": f"{name}.next",
                "shape": ["rows", *array.shape[1:]],
                "type": _type(array),
                "start": 0,
            }
            for name, array in zip(memory_names(graph), graph.network.recall.start(1).values(), strict=True)
        ],
        "check": {"decisions": found.decisions, "largest difference": found.largest, "close calls": found.close_calls},
        "made": timestamp(),
        "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in USED},
    }


def described(decider: Decider) -> dict[str, Any]:
    """Who decides, what it must be told and what it answers, as plain data."""
    spec, seat, run = decider.spec, decider.seat, decider.run
    own, money = spec.sellers[seat], "money per unit"
    bounds = {"new_price": own.prices, "level": own.order_up_to, "order": (0.0, own.order_up_to[1])}
    units = {
        "new_price": money,
        "level": "units on hand and on order that are ordered up to; 0: no order",
        "order": "units",
    }
    return {
        "seller": spec.names[seat],
        "market": {"name": spec.name, "period": spec.period, "sellers": spec.names, "inventory": spec.inventory},
        "policy": {"run": run.folder.name, "kind": run.players[seat].label},
        "inputs": [*map(partial(_input, decider), decider.fields), *_location(decider)],
        "outputs": [
            {"name": name, "unit": units[name], "type": "float64", "range": [float(end) for end in bounds[name]]}
            for name in DECISIONS
        ],
        "rails": decider.rails.model_dump(mode="json", exclude_defaults=True),
    }


def _type(tensor: Any) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _input(decider: Decider, field: Field) -> dict[str, Any]:
    """One input: ``range`` is what can be, ``met`` what the seller met in greedy play of its run, ``missing`` what may stand in."""
    low, usual, high = (round(value, DECIMALS) for value in decider.met.ranges[field.name])
    most = None if field.name != PERIOD or cycle_of(decider.spec) else decider.spec.horizon - 1
    return {
        "name": field.name,
        "unit": field.unit,
        "type": "float64",
        "range": [0, 1] if field.flag else [field.least, most],
        "met": [low, high],
        "example": usual,
        "missing": None if np.isnan(field.missing) else field.missing,
    }


def _location(decider: Decider) -> list[dict[str, Any]]:
    names = [one.name for one in decider.spec.locations]
    if len(names) < 2:
        return []
    said = ", ".join(f"{k}: {name}" for k, name in enumerate(names))
    most = len(names) - 1
    return [
        {"name": "location", "unit": f"number of the location ({said})", "type": "float64", "range": [0, most], "met": [0, most],
         "example": 0, "missing": None}
    ]  # fmt: skip


def card(decider: Decider, contract: dict[str, Any]) -> str:
    """README.md of the folder: what the seller is, how good, and where it ends."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True,
    )  # fmt: skip
    run = decider.run
    about = read_about(run.folder)
    learned = about.get("learning", {}).get("seats", {})
    return made.get_template("model_card.md.j2").render(
        contract=contract, spec=decider.spec, own=decider.spec.sellers[decider.seat], config=run.config, seed=about.get("seed"),
        learners={name: one["learner"] for name, one in learned.items()}, judged=_judged(decider), regrets=_regrets(decider), example=example_of(contract),
        command=about.get("command"), versions=about.get("versions", {}),
    )  # fmt: skip


def _judged(decider: Decider) -> list[dict[str, Any]]:
    """What the run's final evaluation says of the seller, a row a line-up."""
    rows = read_json(decider.run.folder / "evaluation.json", list)
    name = decider.spec.names[decider.seat]
    return [
        row for row in rows
        if isinstance(row, dict) and row.get("table") == "comparison" and row.get("seat") == name and row.get("judged")
    ]  # fmt: skip


def _regrets(decider: Decider) -> list[dict[str, Any]]:
    """What `bazaar exploit` found that the seat could earn more, in money a period."""
    found = [read_json(path, dict) for path in sorted((decider.run.folder / ANALYSIS).glob("exploit-*.json"))]
    name, keys = decider.spec.names[decider.seat], {"regret", "exact", "response"}
    return [one for one in found if one and one.get("seller") == name and keys <= one.keys()]


def example_of(contract: dict[str, Any]) -> str:
    """A program that decides once with the graph, from the contract's examples."""
    lines = [
        "import json",
        "",
        "import numpy as np",
        "import onnxruntime",
        "",
        f'contract = json.load(open("{CONTRACT}", encoding="utf-8"))',
        f'seller = onnxruntime.InferenceSession("{GRAPH}")',
        'state = {one["name"]: one["example"] for one in contract["inputs"]}  # yours here, in these names and units',
        "inputs = {name: np.array([value], np.float64) for name, value in state.items()}",
    ]
    if contract["memory"]:
        lines += [
            'for one in contract["memory"]:  # zeros at the start; afterwards the output of the period before',
            '    inputs[one["name"]] = np.zeros((1, *one["shape"][1:]), one["type"])',
        ]
    lines += [
        "outputs = dict(zip((one.name for one in seller.get_outputs()), seller.run(None, inputs)))",
        "print(f\"price {outputs['new_price'][0]:.4g}, order {outputs['order'][0]:.0f} (up to {outputs['level'][0]:.0f})\")",
    ]
    if contract["memory"]:
        lines += ['remembered = {one["name"]: outputs[one["next"]] for one in contract["memory"]}']
    return "\n".join(lines)
