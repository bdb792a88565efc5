"""Tables on the terminal, in a page, and as plain data."""

from __future__ import annotations

import io
import math
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from policies.views.table import Cell, Column, Note, Row, Table, _folded, heading

POLICIES = Table(
    "left against nash",
    (Column(""), Column("profit a day", key="profit"), Column("to best", "{:+.2%}"), Column("how", align="left")),
    (
        Row(("left (dqn)", Cell(4.7312, 0.0431), Cell(0.081, 0.0025, best=True), "well"), kind="judged", rule=True),
        ("nash+base_stock(level=best)", Cell(-12345.6, math.nan), None, "[b]"),
    ),
    (Note("Best first."), Note("32 episodes.", "note"), Note("Too few.", "missing")),
)


def printed(table: Table, width: int) -> str:
    text = io.StringIO()
    table.print(Console(file=text, width=width))
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def test_a_table_with_room_enough() -> None:
    assert printed(POLICIES, 80) == (
        "left against nash\n"
        "\n"
        "                                 profit a day          to best   how\n"
        " ─────────────────────────────────────────────────────────────────────\n"
        "  left (dqn)                    4.731 ± 0.043   +8.10% ± 0.25%   well\n"
        "\n"
        "  nash+base_stock(level=best)      -1.235e+04                -   [b]\n"
        "\n"
        "Best first.\n"
        "32 episodes.\n"
        "Too few."
    )


@pytest.mark.parametrize(
    ("width", "columns"), [(70, [[0, 1, 2, 3]]), (69, [[0, 1, 2]]), (63, [[0, 1, 2]]), (62, [[0, 1]]), (10, [[0]])]
)
def test_columns_without_room_are_left_out_from_the_right(width: int, columns: list[list[int]]) -> None:
    assert POLICIES.widths() == [30, 16, 17, 7]
    assert POLICIES.blocks(width) == columns
    assert max(len(line) for line in printed(POLICIES, max(width, 40)).split("\n")) <= max(width, 40)


def test_columns_that_are_never_left_out_and_those_that_are_named() -> None:
    table = Table("", POLICIES.columns, POLICIES.rows, least=2)
    assert table.blocks(10) == [[0, 1]]
    left_out = "\nNo room in 52 columns for to best, how: COLUMNS=70\nshows the whole table."
    assert printed(table, 52).endswith(left_out)
    assert "No room" not in printed(table, 70)


def test_on_a_terminal_the_remedy_is_a_wider_window() -> None:
    shown = Console(file=io.StringIO(), width=60, force_terminal=True, no_color=True)
    POLICIES.print(shown)
    text = " ".join(Text.from_ansi(shown.file.getvalue()).plain.split())  # type: ignore[attr-defined]
    assert "No room in 60 columns for to best, how: a window of 70 columns shows the whole table." in text


def test_headings_are_broken_before_a_column_is_left_out() -> None:
    columns = [Column("response"), Column("profit a day"), Column("to the present policy"), Column("in %", "{:+.0%}")]
    table = Table("", columns, [["nash", 5.5, 0.3, 0.06], ["match", 5.4, 0.2, 0.04]])
    assert table.blocks(50) == [[0, 1, 2]] and sum(table.widths()) == 57
    assert printed(table, 50) == (
        "\n"
        "                            to the present\n"
        "  response   profit a day           policy   in %\n"
        " ─────────────────────────────────────────────────\n"
        "  nash                5.5              0.3    +6%\n"
        "  match               5.4              0.2    +4%\n"
    )
    assert printed(table, 57).count("to the present policy") == 1
    assert table.records()[0]["to the present policy"] == 0.3


def test_where_columns_that_are_never_left_out_have_no_room_the_table_is_split() -> None:
    columns = [Column(""), *(Column(f"seat {k}", "{:.3f}") for k in range(9))]
    table = Table("", columns, [["日本茶" * 5, *(k + 0.125 for k in range(9))]], least=10)
    lines = printed(table, 40).split("\n")
    assert max(map(cell_len, lines)) <= 40 and not any("…" in line or "No room" in line for line in lines)
    assert [word for word in " ".join(lines).split() if "." in word] == [f"{k}.125" for k in range(9)]


@pytest.mark.parametrize("narrow", ["drop", "split", "wrap"])
def test_a_name_longer_than_the_terminal_breaks_no_number(narrow: Any) -> None:
    name = "kaffeerösterei" * 6
    columns = [Column(""), Column(f"price of {name}", "{:+.3f}"), Column("margin", "{:+.3f}", important=True)]
    lines = printed(Table("", columns, [[name, -2.345, 1.25]], narrow=narrow), 60).split("\n")
    assert max(map(len, lines)) <= 60
    assert {"-2.345", "+1.250"} & set(" ".join(lines).split()) >= {"+1.250"}
    assert all(word.count(".") == 1 for word in " ".join(lines).split() if word[0] in "+-")


def test_a_number_is_not_broken_before_half_its_interval() -> None:
    columns = [Column("seat"), Column("a bound from hindsight"), Column("what it is", align="left")]
    table = Table("", columns, [["left", Cell(5.9992, 0.018), "words that are wrapped"]], narrow="wrap")
    for width in range(34, 70):
        assert "5.999 ± 0.018" in printed(table, width)


def test_a_table_in_several_parts() -> None:
    table = Table("three", [Column(""), *(Column(f"head {k}") for k in range(3))], [["row", 1, 2, 3]], narrow="split")
    assert table.widths() == [6, 9, 9, 9]
    assert table.blocks(24) == [[0, 1, 2], [0, 3]]
    assert table.blocks(5) == [[0, 1], [0, 2], [0, 3]]
    text = printed(table, 25)
    assert text.count("three") == 1 and text.count("row") == 2


def test_words_that_are_wrapped() -> None:
    table = Table("", [Column("figure"), Column("what", align="left")], [["a", "many words in a row"]], narrow="wrap")
    assert table.blocks(10) == [[0, 1]]
    assert "many words" in printed(table, 24) and "many words in" not in printed(table, 24)


def matrix(count: int) -> Table:
    """Entry (i, k) is i + k / 100, and ``other`` follows; the largest things are the middle ones."""
    columns = [Column(""), *(Column(f"price of thing{k}", "{:+.2f}") for k in range(count)), Column("other")]
    rows = [[f"thing{i}", *(i + k / 100 for k in range(count)), 7] for i in range(count)]
    size = [count - abs(k - count / 2) for k in range(count)]
    return Table("all", columns, rows, narrow="largest", size=size, left_out="And {} more.")


def test_of_a_matrix_too_wide_the_largest_are_kept_down_and_across() -> None:
    """Forty things at 80 columns: whole numbers of the same things, and how many are not shown."""
    lines = printed(matrix(40), 80).split("\n")
    assert max(map(len, lines)) <= 80
    found = [line.split() for line in lines if line.startswith("  thing")]
    kept = [int(words[0].removeprefix("thing")) for words in found]
    assert kept == list(range(kept[0], kept[0] + len(kept))) and 20 in kept and 5 <= len(kept) <= 7
    assert [words[1:] for words in found] == [[*(f"{i + k / 100:+.2f}" for k in kept), "7"] for i in kept]
    assert lines[-1] == f"And {40 - len(kept)} more."
    whole = printed(matrix(3), 80)
    assert "more" not in whole and whole.count("thing") == 6
    assert len(matrix(40).records()) == 40 and "thing39" in matrix(40).html()


def test_what_cannot_be_wrapped_is_split_and_no_number_is_broken() -> None:
    columns = [Column(""), *(Column(f"a long heading {k}", "{:+.3f}") for k in range(20))]
    table = Table("", columns, [["row", *(k + 0.125 for k in range(20))]], narrow="wrap")
    text = printed(table, 80)
    assert max(map(len, text.split("\n"))) <= 80 and "…" not in text
    assert [word for word in text.split() if word.startswith("+")] == [f"+{k}.125" for k in range(20)]


def test_a_title_is_not_broken_at_the_width_of_its_table() -> None:
    assert printed(Table("a rather long title", [Column("")], [["x"]]), 40).startswith("a rather long title\n")


def test_only_notes() -> None:
    assert printed(Table("", (), (), [Note("said", indent=2)]), 40) == "  said"


def test_figures_beside_one_another() -> None:
    columns = [Column("", "{:.2f}"), Column("")]
    table = Table("", columns, [[(Cell(1.0, best=True), Cell(0.5, 0.1, form="{:6.1%}")), ""]])
    assert "1.00   50.0% ± 10.0%" in printed(table, 80)
    assert "<td>1.00&ensp; 50.0 % ± 10.0 %</td>" in table.html()


def test_html() -> None:
    assert POLICIES.html() == (
        '<div class="scroll"><table><caption>left against nash</caption>'
        '<thead><tr><th></th><th>profit a day</th><th>to best</th><th class="text">how</th></tr></thead><tbody>'
        '<tr class="judged"><td>left (dqn)</td><td>4.731 ± 0.043</td><td>+8.10 % ± 0.25 %</td><td class="text">well</td></tr>'
        "<tr><td>nash<wbr>+base_stock<wbr>(level=best)</td><td>−12,346</td><td>–</td>"
        '<td class="text">[b]</td></tr></tbody></table></div>'
        '<p>Best first.</p><p class="note">32 episodes.</p><p class="missing">Too few.</p>'
    )


def test_html_of_marks_and_names() -> None:
    table = Table("", [Column("a\n+b"), Column("<i>")], [Row(["x & y", Cell(1.0, shade="rgba(1,2,3,0.5)")], "fails")])
    assert table.html() == (
        '<div class="scroll"><table><thead><tr><th>a<br>+b</th><th>&lt;i&gt;</th></tr></thead><tbody>'
        '<tr class="fails"><td>x &amp; y</td><td style="background:rgba(1,2,3,0.5)">1</td></tr></tbody></table></div>'
    )


def test_plain_data() -> None:
    assert POLICIES.records() == [
        {
            "": "left (dqn)",
            "profit": 4.7312,
            "profit_half_width": 0.0431,
            "to best": 0.081,
            "to best_half_width": 0.0025,
            "how": "well",
        },
        {
            "": "nash+base_stock(level=best)",
            "profit": -12345.6,
            "profit_half_width": None,
            "to best": None,
            "how": "[b]",
        },
    ]


def test_a_row_must_have_a_cell_a_column() -> None:
    with pytest.raises(ValueError, match="zip"):
        printed(Table("", [Column("")], [["a", "b"]]), 80)


def test_policies_over_several_lines() -> None:
    assert heading("nash+base_stock(level=best)") == "nash\n+base_stock\n(level=best)"
    assert heading("left (dqn)") == "left\n(dqn)"
    assert Table("", [Column(heading("nash+base_stock"))], [["12"]]).widths() == [14]


def test_important_columns_stay_where_others_have_no_room() -> None:
    columns = (Column(""), Column("profit"), Column("turnover"), Column("share", important=True))
    rows = (("collusive+seasonal_base_stock", 205.6, 0.69, 0.032), ("left (dqn)", 203.2, 0.59, 0.029))
    notes = (Note("Turnover: sales / mean stock.", of="turnover"), Note("Share: of all customers.", of="share"))
    table = Table("", columns, rows, notes, least=2)
    assert table.widths() == [32, 9, 11, 8]
    assert printed(table, 60).endswith("Turnover: sales / mean stock.\nShare: of all customers.")
    without = "No room in 50 columns for turnover: COLUMNS=60\nshows the whole table.\nShare: of all customers."
    assert printed(table, 50).endswith(without)
    assert printed(table, 40).startswith(
        "\n"
        "                   profit   share\n"
        " ─────────────────────────────────\n"
        "  collusive         205.6   0.032\n"
        "  +seasonal_base\n"
        "  _stock\n"
        "  left (dqn)        203.2   0.029\n"
    )
    assert table.html().count("<p>") == 2


NAMES = [
    "collusive+base_stock(level=best)",
    "nash+min_max(s=best,S=best)",
    "optimal (knows the market)",
    "nash",
    "a" * 40,
]


@pytest.mark.parametrize("most", [16, 13])
@pytest.mark.parametrize("name", NAMES)
def test_names_over_several_lines_are_the_same_names(name: str, most: int) -> None:
    lines = _folded(name, most).split("\n")  # type: ignore[union-attr]
    assert "".join(lines).replace(" ", "") == name.replace(" ", "")
    assert all(len(line) <= most for line in lines) or name == "a" * 40
