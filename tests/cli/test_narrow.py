"""80 columns: in every command's tables the important columns stay, no number is broken, and what is left out is named."""

from __future__ import annotations

import io
import re
import shlex
import shutil
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

import policies.training.loop  # noqa: F401  # so that no pictures are drawn
from policies.cli.commands import COMMANDS
from policies.cli.main import main
from policies.sales.record import record
from policies.views.table import Cell, Cells, Row, Table
from tests.helpers.calibrated import sales_file
from tests.helpers.forecasts import two_sellers
from tests.helpers.shadowed import in_shadow
from tests.helpers.small_run import SMALL, small_run

WIDTH = 80
CHANGES = (*SMALL, "training.evaluations=1", "evaluation.episodes=16", "evaluation.line_ups=[nash]")
LITTLE = f"--budget 4000 {shlex.join(word for change in CHANGES for word in ('--set', change))}"
CAPPED = "'undercut(step=0.05)+capped_base_stock'"
PLAYED = {"profit a day", "to best fixed", "price", "share", "fill"}  # of a comparison: never left out
# The commands, each with what must be among the columns that it shows.
TOLD = {
    f"train duopoly --name small {LITTLE}": PLAYED | {"all at Nash", "profit gain"},
    f"tune duopoly --trials 1 --processes 1 --set 'tune.learners.dqn.lr={{log: [1e-4, 1e-2]}}' {LITTLE}": {"objective"},
    f"evaluate run --against {CAPPED} --episodes 8 --risk --stress": PLAYED | {"left (dqn)"},
    f"tournament run nash {CAPPED} --episodes 8 --processes 1": {"mean rank", "profit as left", "change"},
    "exploit run --seller left --episodes 8 --budget 4000": {"profit a day", "to the present policy", "in %"},
    "deviate run --seller left --to nash --episodes 8": {"price of left", "gained so far"},
    "decide run states.csv --seller left": {"price", "order", "profit a day", "the decision's advantage"},
    "shadow shadow.db --episodes 2": {"price", "order"},
    "update run --sales since.csv --seller left --budget 4000": {"sold", "by the market", "difference"},
    "theory orange_juice": {"price", "share", "margin", "profit a week", "price of tropicana"},
    "sales wide.csv -o tidied.csv": {"rows"},
    "calibrate sales.csv -o market.yaml": {"own elasticity", "price", "share", "margin"},
    "forecast two.csv --horizon 2": {"ann", "bob", "MASE"},
    "reproduce calvano --sessions 2 --seeds 0 --beta 1e-3": {"Δ", "price", "profit", "pays"},
    "configs": {"configuration", "story"},
    "bench --only batch --seconds 0.01": {"median", "wanted"},
}
NO_TABLES = {"report", "record", "board", "export", "serve"}
NEEDS = {"calibrate": "pyblp", "forecast": "statsforecast", "shadow": "fastapi", "update": "pyblp"}


@pytest.fixture(name="place")
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(small_run(), tmp_path / "run")
    two_sellers(tmp_path).rename(tmp_path / "two.csv")
    sales_file(tmp_path, ("ann", "bob"), ("all",))
    names = "on_hand,price,sold,lost,rivals.right.price,rivals.right.in_stock"
    (tmp_path / "states.csv").write_text(f"{names}\n20,1.8,5,0,1.8,true\n", encoding="utf-8")
    in_shadow(tmp_path / "shadow.db", tmp_path / "run")
    dearer = {"changes": "market.price_sensitivity=4", "rules": "random+base_stock(level=ample)", "markets": 1}
    record("duopoly", output=tmp_path / "since.csv", **dearer)
    (tmp_path / "wide.csv").write_text((tmp_path / "two.csv").read_text().replace(",", ";"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    return tmp_path


@pytest.fixture(name="printed")
def _printed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Table, str]]:
    """Every table with rows that is printed, and what stands there then."""
    found, real = list[tuple[Table, str]](), Table.print

    def kept(table: Table, console: Console) -> None:
        alone = io.StringIO()
        real(table, Console(file=alone, width=console.width))
        found.extend([(table, alone.getvalue())] if table.rows else [])
        real(table, console)

    monkeypatch.setattr(Table, "print", kept)
    return found


def test_every_command_is_here() -> None:
    assert {line.split()[0] for line in TOLD} | NO_TABLES == set(COMMANDS)


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("line", TOLD, ids=lambda line: line.split()[0])
def test_the_tables_of_a_command(
    line: str, printed: list[tuple[Table, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    needed = NEEDS.get(line.split()[0])
    if needed and find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed")
    assert main(shlex.split(line)) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert [row for row in said.splitlines() if cell_len(row.rstrip()) > WIDTH] == []
    stays = set[str]()
    for table, text in printed:
        hidden = left_out(text)
        stays |= {one.name for one in table.columns} - hidden
        assert not {one.name for one in table.columns if one.important} & hidden, text
        assert numbers(*cells(table, hidden)) - numbers(text) == Counter(), text
        assert text.count("…") <= sum(cell.count("…") for cell in cells(table, set()))
        for note in table.notes:
            assert (note.of in hidden) != (" ".join(note.text.split()) in " ".join(text.split())), note.text
    assert TOLD[line] - stays == set()


def left_out(text: str) -> set[str]:
    """The names of columns that are said to have no room."""
    said = re.search(
        rf"No room in {WIDTH} columns for (.*): COLUMNS=\d+ shows the whole table\.", " ".join(text.split())
    )
    return set(said[1].split(", ")) if said else set()


def cells(table: Table, hidden: set[str]) -> list[str]:
    """The texts of all cells but those of these columns, and but the names of rows, which may be broken."""
    rows = [row.cells if isinstance(row, Row) else row for row in table.rows]
    columns = [(k, one) for k, one in enumerate(table.columns) if k and one.name not in hidden]
    return [part.text(one.form) for row in rows for k, one in columns for part in parts(row[k])]


def parts(given: Cells) -> tuple[Cell, ...]:
    if isinstance(given, tuple):
        return given
    return (given if isinstance(given, Cell) else Cell(given),)


def numbers(*texts: str) -> Counter[str]:
    """Words with a digit, each with the half width that follows it, which must stand beside it."""
    return Counter(word for text in texts for word in re.findall(r"\S*\d\S*(?: ± \S+)?", text))


@pytest.mark.parametrize("broken", ["left  5.9\n      992 ± 0.018", "left  5.9992 ±\n      0.018", "left  5.9992"])
def test_a_broken_number_would_be_found(broken: str) -> None:
    assert numbers("5.9992 ± 0.018") - numbers(broken) != Counter()
    assert numbers("5.9992 ± 0.018") - numbers("left   5.9992 ± 0.018  ") == Counter()
