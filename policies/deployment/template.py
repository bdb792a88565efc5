"""A file to fill in: every field of a state with its unit, the range that was met in training and a usual value."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from market.spec.models import day_of
from policies.deployment.decider import Decider
from policies.deployment.fields import COST, DATE, LABEL, LOCATION, PERIOD, Field


def template(decider: Decider, path: Path) -> str:
    """The file's text: a table of one row for ``.csv``, else YAML with a comment a field."""
    return _table(decider) if path.suffix.lower() == ".csv" else _yaml(decider)


def example_state(decider: Decider) -> dict[str, Any]:
    """A usual state, as the file has it."""
    return dict(yaml.safe_load(_yaml(decider)))


def _rest(decider: Decider) -> dict[str, tuple[str, str]]:
    """What is no number of the observation: by name the example and what it is."""
    spec = decider.spec
    found = {LABEL: ("first", "any name: the answer repeats it")}
    if len(spec.locations) > 1:
        found[LOCATION] = (spec.locations[0].name, f"one of {', '.join(one.name for one in spec.locations)}")
    cost = spec.sellers[decider.seat].unit_cost
    return found | {COST: (f"{cost:g}", "money, for rails; left out: the market's")}


def _table(decider: Decider) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    rest = _rest(decider)
    writer.writerow([*rest, *(field.name for field in decider.fields)])
    writer.writerow(
        [*(example for example, _ in rest.values()), *(_example(decider, field) for field in decider.fields)]
    )
    return file.getvalue()


def _yaml(decider: Decider) -> str:
    name, spec = decider.spec.names[decider.seat], decider.spec
    lines = [f"# The state of {name} for one decision; what is left out is said in the answer."]
    for key, (example, what) in _rest(decider).items():
        lines.append(f"{key}: {example if key == COST else _quoted(example)}  # {what}")
    plain = [field for field in decider.fields if "." not in field.name and not field.name.startswith("arriving_in_")]
    lines += [_line(decider, field, field.name) for field in plain]
    if spec.stocked and spec.sellers[decider.seat].lead_time > 1:
        lines += [
            f"on_order:  # units on their way, arriving in 1 to {spec.sellers[decider.seat].lead_time - 1} {spec.period}s; [] for none",
            *(
                f"  - {{arrives_in: {slot + 1}, units: {_example(decider, field)}}}  # {_met(decider, field)}"
                for slot, field in enumerate(f for f in decider.fields if f.name.startswith("arriving_in_"))
            ),
        ]
    for group in ("rivals", "events"):
        lines += _group(decider, group, [field for field in decider.fields if field.name.startswith(f"{group}.")])
    return "\n".join(lines) + "\n"


def _group(decider: Decider, group: str, fields: Sequence[Field]) -> list[str]:
    lines, of = [f"{group}:"] if fields else [], None
    for field in fields:
        name, _, last = field.name.removeprefix(f"{group}.").rpartition(".")
        if name != of:
            lines.append(f"  {_quoted(name)}:")
            of = name
        lines.append(f"    {_line(decider, field, last)}")
    return lines


def _line(decider: Decider, field: Field, key: str) -> str:
    origin, dated = decider.spec.estimated_from, ""
    if field.name == PERIOD and origin is not None and day_of(origin.last) is not None:
        dated = f", or {DATE}: a day such as {origin.last}"
    return f"{key}: {_example(decider, field)}  # {field.unit}{dated}; {_met(decider, field)}"


def _met(decider: Decider, field: Field) -> str:
    low, _, high = decider.met.ranges[field.name]
    return f"met {field.said(low)} to {field.said(high)}" if low < high else f"always {field.said(low)}"


def _example(decider: Decider, field: Field) -> str:
    return field.said(decider.met.example(field))


def _quoted(text: str) -> str:
    return str(yaml.safe_dump(text, allow_unicode=True, width=10_000)).split("\n")[0]
