"""The report as one HTML page: every script and picture inside it, nothing fetched."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import count
from pathlib import Path

from policies.views.charts import Chart
from policies.views.report_style import STYLE

SECURITY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:"
)


class Page:
    """Collects sections, in order, and writes them out."""

    def __init__(self, title: str, lead: str, command: str = "report") -> None:
        self.title, self.lead, self.command = title, lead, command
        self._parts: list[str] = []
        self._sections: list[tuple[str, str]] = []
        self._charts = count(1)

    def section(self, anchor: str, heading: str) -> None:
        """Begin a section that the list at the top leads to."""
        self._sections.append((anchor, heading))
        self._parts.append(f'<h2 id="{escape(anchor)}">{escape(heading)}</h2>')

    def html(self, text: str) -> None:
        """Add HTML as it is."""
        self._parts.append(text)

    def heading(self, text: str) -> None:
        """A heading inside a section."""
        self._parts.append(f"<h3>{escape(text)}</h3>")

    def paragraph(self, text: str, kind: str = "") -> None:
        """A paragraph of plain text; ``kind``: note or missing."""
        self._parts.append(f"<p{_kind(kind)}>{escape(text)}</p>")

    def chart(self, chart: Chart) -> None:
        """A chart under its title, its note below."""
        from plotly.io import to_html

        body = to_html(
            chart.figure,
            include_plotlyjs=False,
            full_html=False,
            div_id=f"chart-{next(self._charts)}",
            config={"displayModeBar": False, "responsive": True},
        )
        note = f'<p class="note">{escape(chart.note)}</p>' if chart.note else ""
        self._parts.append(f"<figure><figcaption>{escape(chart.title)}</figcaption>{body}{note}</figure>")

    def picture(self, path: Path, title: str) -> None:
        """A PNG file, put into the page."""
        data = base64.b64encode(path.read_bytes()).decode("ascii")
        image = f'<img alt="{escape(title)}" src="data:image/png;base64,{data}">'
        self._parts.append(f"<figure><figcaption>{escape(title)}</figcaption>{image}</figure>")

    def table(
        self,
        heads: Sequence[str],
        rows: Iterable[Sequence[str]],
        caption: str = "",
        judged: Sequence[bool] = (),
        text: Sequence[int] = (),
        kinds: Sequence[str] = (),
        shades: Sequence[Sequence[str]] = (),
    ) -> None:
        """A table, numbers to the right; ``judged`` rows stand out, columns in ``text`` hold words.

        ``kinds``: a class for each row, holds or fails; ``shades``: a CSS colour behind each cell, "" for none.
        """
        head = "".join(f"<th{_kind('text' if k in text else '')}>{escape(one)}</th>" for k, one in enumerate(heads))
        body = []
        for k, row in enumerate(rows):
            behind = shades[k] if k < len(shades) else [""] * len(row)
            cells = "".join(
                f"<td{_kind('text' if c in text else '')}{_shade(behind[c])}>{_breakable(one)}</td>"
                for c, one in enumerate(row)
            )
            kind = "judged" if k < len(judged) and judged[k] else kinds[k] if k < len(kinds) else ""
            body.append(f"<tr{_kind(kind)}>{cells}</tr>")
        title = f"<caption>{escape(caption)}</caption>" if caption else ""
        self._parts.append(
            f'<div class="scroll"><table>{title}<thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'
        )

    def definitions(self, terms: Mapping[str, str]) -> None:
        """Terms and what they mean."""
        items = "".join(f"<dt>{escape(term)}</dt><dd>{escape(meaning)}</dd>" for term, meaning in terms.items())
        self._parts.append(f"<dl>{items}</dl>")

    def text(self) -> str:
        """The whole page."""
        from plotly.offline import get_plotlyjs

        links = "".join(f'<a href="#{escape(a)}">{escape(heading)}</a>' for a, heading in self._sections)
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{SECURITY}">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(self.title)}</title><style>{STYLE}</style>"
            f"<script>{get_plotlyjs()}</script></head>\n<body>"
            f'<header><h1>{escape(self.title)}</h1><p class="lead">{escape(self.lead)}</p><nav>{links}</nav></header>\n'
            f"<main>{''.join(self._parts)}</main>\n"
            f"<footer>Made by <code>bazaar {escape(self.command)}</code>. Everything is inside this file; it needs no network.</footer>"
            "</body></html>\n"
        )


def _breakable(text: str) -> str:
    """Long names of policies may go on in a new line where there is no room: before a plus sign or a bracket."""
    return escape(text).replace("+", "<wbr>+").replace("(", "<wbr>(") if "+" in text[1:] else escape(text)


def _shade(colour: str) -> str:
    return f' style="background:{escape(colour)}"' if colour else ""


def _kind(name: str) -> str:
    return f' class="{name}"' if name else ""
