"""The report as one HTML page: every script and picture inside it, nothing fetched.

The report's look: one style sheet, system fonts, black on white, made to be printed too.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import count
from pathlib import Path

from policies.views.charts import Chart

STYLE = """
:root { --ink: #222; --soft: #666; --line: #ddd; --more: #0072B2; --less: #D55E00; --pale: #f6f7f9; }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
body { margin: 0; color: var(--ink); background: white; line-height: 1.5; font-size: 15px;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
main, header, footer { max-width: 1120px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 28px; }
h1 { font-size: 28px; margin: 0; letter-spacing: -0.01em; overflow-wrap: anywhere; }
h2 { font-size: 20px; margin: 44px 0 6px; padding-top: 14px; border-top: 2px solid var(--ink); }
h3 { font-size: 15.5px; margin: 26px 0 4px; }
p { margin: 6px 0 10px; max-width: 100ch; }
.lead { color: var(--soft); margin-top: 2px; }
nav { margin: 14px 0 0; font-size: 13.5px; }
nav a { color: var(--more); text-decoration: none; margin-right: 14px; white-space: nowrap; }
nav a:hover { text-decoration: underline; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 14px; margin: 16px 0; }
.card { background: var(--pale); border-left: 5px solid var(--soft); padding: 12px 16px; }
.card.more { border-color: var(--more); } .card.less { border-color: var(--less); }
.card .who { font-weight: 600; }
.card .figure { font-size: 26px; font-weight: 650; font-variant-numeric: tabular-nums; white-space: nowrap; }
.card.more .figure { color: var(--more); } .card.less .figure { color: var(--less); }
.card .caption { color: var(--soft); font-size: 13px; }
.card p { margin: 6px 0 0; font-size: 14px; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; margin: 8px 0; }
caption { text-align: left; font-weight: 600; padding: 4px 0; }
th, td { padding: 4px 8px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 600; color: var(--soft); border-bottom: 1px solid var(--ink); vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; padding-left: 0; white-space: normal; }
td.text, th.text { text-align: left; white-space: normal; }
tr.judged td { font-weight: 650; background: #eef5fa; }
tr.holds td:last-child { color: #00734F; font-weight: 600; white-space: nowrap; }
tr.fails td { background: #fdf0e7; } tr.fails td:last-child { color: #A84300; font-weight: 650; white-space: nowrap; }
.note { color: var(--soft); font-size: 13px; max-width: 100ch; }
.missing { border-left: 5px solid #E69F00; background: #fdf6e7; padding: 8px 14px; margin: 14px 0; }
ul.missing { padding-left: 32px; } ul.missing li { margin: 3px 0; overflow-wrap: anywhere; }
figure { margin: 10px 0 22px; break-inside: avoid; overflow-x: auto; }
figcaption { font-weight: 600; }
figure img { max-width: 100%; height: auto; }
ol.rules { margin: 6px 0; padding-left: 26px; } ol.rules li { margin: 2px 0; max-width: 110ch; }
ol.rules b { font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 18px; font-size: 14px; }
dt { font-weight: 600; } dd { margin: 0; overflow-wrap: anywhere; }
code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: 0.92em; overflow-wrap: anywhere; }
footer { color: var(--soft); font-size: 13px; padding: 30px 24px 40px; }
@media (max-width: 640px) { dl { grid-template-columns: 1fr; } }
@page { size: 1170px 1655px; margin: 40px 25px; }
@media print {
  nav { display: none; } .scroll { overflow: visible; } h2, h3, caption { break-after: avoid; } tr, .card { break-inside: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""


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
