"""The report's look: one style sheet, system fonts, black on white, made to be printed too."""

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
