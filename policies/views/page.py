"""Templates of text filled with values: a page of HTML, every script, style and picture inside it, nothing fetched; and words.

What views say in words, :func:`told`, is plain text: the terminal prints it, and a page shows it below its table.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import cache
from itertools import count, product
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from policies.views.format import amount, counted, number, off_file, percent, posted, small, spaced, units
from policies.views.table import Note, Table

Paragraph = Callable[[], Markup]


class Page:
    """A template of ``policies/views/templates`` and the values that it shows; these are text, never HTML.

    The template sets ``title``, ``lead`` and ``command``, and writes what stands between header and footer. It may call
    ``section(anchor, heading)`` for a section that the list at the top leads to, ``chart(figure, title)`` with a
    plotly figure and, between ``call`` and ``endcall``, a note below it, ``table(one)`` with a :class:`Table`, and
    ``picture(path, title)`` with a PNG file.
    """

    def __init__(self, template: str, **values: Any) -> None:
        self.template, self.values = template, values

    def text(self) -> str:
        """The whole page."""
        from plotly.offline import get_plotlyjs

        sections: list[tuple[str, str]] = []
        charts = count(1)

        def section(anchor: str, heading: str) -> Markup:
            sections.append((anchor, heading))
            return Markup('<h2 id="{}">{}</h2>').format(anchor, heading)

        def chart(figure: Any, title: str, caller: Paragraph | None = None) -> Markup:
            return _figure(title, _drawn(figure, f"chart-{next(charts)}"), caller)

        parts = {"section": section, "chart": chart, "table": _table, "picture": _picture}
        body = _environment().get_template(self.template).make_module(self.values | parts)
        about = {name: getattr(body, name) for name in ("title", "lead", "command")}
        inside = {"body": Markup(body), "sections": sections, "plotly": Markup(get_plotlyjs())}
        return _environment().get_template("page.html").render(about | inside)


def rendered(template: str, **values: Any) -> str:
    """A template that is a page by itself."""
    return _environment().get_template(template).render(values)


def sentences(template: str, **values: Any) -> str:
    """Plain text by a template, words one space apart."""
    return " ".join(Markup(_environment().get_template(template).render(values)).unescape().split())


def told(template: str, part: str, **values: Any) -> list[str]:
    """Paragraphs of plain text by a macro of a template; empty lines stand between them, and line breaks count for nothing."""
    text = Markup(getattr(_environment().get_template(template).module, part)(**values)).unescape()
    return [" ".join(paragraph.split()) for paragraph in text.split("\n\n") if paragraph.strip()]


def footnote(template: str, part: str, **values: Any) -> Note:
    """The paragraphs of :func:`told` as the last note below a table: it stands back, and a line is left free after it."""
    return Note("\n".join([*told(template, part, **values), ""]), "note")


@cache
def _environment() -> Environment:
    folder = FileSystemLoader(Path(__file__).parent / "templates")
    made = Environment(loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters |= {"amount": amount, "number": number, "percent": percent}
    made.globals |= {"posted": posted, "off_file": off_file}
    made.filters |= {"product": product, "whole": units}
    made.filters |= {"counted": counted, "small": small, "spaced": spaced}
    return made


def _table(one: Table) -> Markup:
    return Markup(one.html())


def _drawn(figure: Any, name: str) -> Markup:
    from plotly.io import to_html

    config = {"displayModeBar": False, "responsive": True}
    return Markup(to_html(figure, include_plotlyjs=False, full_html=False, div_id=name, config=config))


def _picture(path: Path, title: str) -> Markup:
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return _figure(title, Markup('<img alt="{}" src="data:image/png;base64,{}">').format(title, data))


def _figure(title: str, drawn: Markup, note: Paragraph | None = None) -> Markup:
    below = Markup('<p class="note">{}</p>').format(note().strip()) if note else ""
    return Markup("<figure><figcaption>{}</figcaption>{}{}</figure>").format(title, drawn, below)
