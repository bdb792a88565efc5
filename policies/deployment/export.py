"""`bazaar export`: a seller as a folder that plays without Bazaar: the graph, its contract, and a card that says what it is."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from policies.common.files import refuse_taken_folder, write_file
from policies.common.progress import phases
from policies.common.results import Records
from policies.common.torch_tools import one_torch_thread
from policies.config.command import ordered_by
from policies.config.orders import ExportOrder
from policies.deployment.run import decider_of
from policies.storage.run_folder import ABOUT, config_text

if TYPE_CHECKING:
    from policies.deployment.decider import Decider
    from policies.deployment.onnx_file import Checked

CARD = "README.md"


@dataclass(frozen=True)
class ExportResult(Records):
    """What was written, and how it compares with the seller."""

    folder: Path
    contract: dict[str, Any]
    checked: Checked

    def records(self) -> list[dict[str, Any]]:
        """One row."""
        one = {
            "folder": str(self.folder),
            "seller": self.contract["seller"],
            "sha256": self.contract["graph"]["sha256"],
        }
        return [one | self.contract["check"]]


@ordered_by(ExportOrder)
def export(order: ExportOrder) -> ExportResult:
    """Carry out `bazaar export`.

    Raises :class:`UserError` for a run without that seller, a seller that is no network of this market, a folder that is there
    already, and where what writes or plays the graph is not installed.

    Example::

        from policies import export

        found = export("runs/first", seller="left", output="left_seller")
        print(found.to_frame()[["decisions", "largest difference"]])
    """
    refuse_taken_folder(order.output)
    decider = decider_of(order)
    from policies.deployment.contract import CONTRACT, GRAPH, card, contract_of  # what plays a network is heavy
    from policies.deployment.onnx_file import checked, graph_of, onnx_bytes

    one_torch_thread()
    graph = graph_of(decider)
    with phases(order.console, f"exporting {decider.spec.names[decider.seat]}") as say:
        say("writing the graph")
        content = onnx_bytes(graph)
        say("deciding beside the seller")
        found = checked(content, graph, decider)
        contract = contract_of(decider, graph, content, found, order.checkpoint)
        texts = {CONTRACT: json.dumps(contract, indent=2, ensure_ascii=False) + "\n", CARD: card(decider, contract)}
        _write(order.output, {GRAPH: content} | texts | run_files(decider, order.checkpoint))
    close = f" ({found.close_calls} too close to call left out)" if found.close_calls else ""
    order.console.print(
        f"{found.decisions:,} decisions in random states beside the seller's own{close}: the largest relative difference is "
        f"{found.largest:.1e}.\nWritten: {order.output} ({GRAPH}, {CONTRACT}, {CARD})",
        highlight=False,
    )
    return ExportResult(order.output, contract, found)


def run_files(decider: Decider, checkpoint: str) -> dict[str, bytes | str]:
    """What makes a run of the folder, without its training: the seller is asked, served and judged from there as well."""
    run, name = decider.run, decider.spec.names[decider.seat]
    config = run.config.model_copy(update={"rails": {name: decider.rails}})
    kept = {
        f"checkpoints/{one}.best.pt": run.folder / f"checkpoints/{one}.{checkpoint}.pt" for one in decider.spec.names
    }
    kept |= {f"checkpoints/{path.name}": path for path in run.folder.glob("checkpoints/*.rival.pt")}
    kept |= {one: run.folder / one for one in (ABOUT, "evaluation.json")}
    return {"config.yaml": config_text(config)} | {
        one: path.read_bytes() for one, path in kept.items() if path.is_file()
    }


def _write(folder: Path, files: dict[str, bytes | str]) -> None:
    """All of the folder, or nothing."""
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.absolute().parent))
    try:
        for name, content in files.items():
            (aside / name).parent.mkdir(exist_ok=True)
            write_file(aside / name, content)
        aside.chmod(0o755)
        aside.rename(folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
