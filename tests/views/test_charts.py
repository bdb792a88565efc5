"""What charts have in common: places of panels, colours, long names, and plotly only when one is drawn."""

from __future__ import annotations

from policies.views.charts import PALE_GREY, broken, colour, dress, faint, grid, line_style, panels


def test_places_of_panels() -> None:
    assert grid(3, 2) == (2, 2, [{"row": 1, "col": 1}, {"row": 1, "col": 2}, {"row": 2, "col": 1}])
    assert grid(1, 3) == (1, 1, [{"row": 1, "col": 1}]) and grid(4, 1)[:2] == (4, 1)


def test_titles_stand_above_the_left_end_of_their_panels() -> None:
    figure = dress(panels(1, 2, ["one", "two"]), 200, top=8, showlegend=False)
    notes, domains = figure.layout.annotations, [axis.domain for axis in figure.select_xaxes()]
    assert [note.text for note in notes] == ["one", "two"]
    assert [round(note.x, 9) for note in notes] == [round(domain[0], 9) for domain in domains]
    assert figure.layout.margin.to_plotly_json() == {"l": 60, "r": 16, "t": 8, "b": 48} and not figure.layout.showlegend


def test_seats_differ_in_colour_then_in_dash() -> None:
    assert colour(0) == colour(7) and line_style(0)["dash"] != line_style(7)["dash"]
    assert faint(0, 0.25) == "rgba(0,114,178,0.25)" and PALE_GREY.endswith("0.25)")


def test_long_names_stand_in_two_lines() -> None:
    assert broken("left (dqn)") == "left (dqn)"
    assert broken("nash+base_stock(level=best)") == "nash<br>+base_stock(level=best)"
    assert broken("a seller with a name (dqn)") == "a seller with a name<br>(dqn)"
