"""`bazaar configs`: the configurations that come with the package."""

from __future__ import annotations

import re
from pathlib import Path

from market.errors import UserError
from market.spec.builtin import builtin
from policies.common.files import refuse_unwritable, write_file
from policies.config.command import ordered_by
from policies.config.orders import ConfigsOrder
from policies.views.table import Column, Table


@ordered_by(ConfigsOrder)
def carry_out(order: ConfigsOrder) -> dict[str, str]:
    """Carry out `bazaar configs`: name the configurations, or show one, or copy it; returns their stories by name."""
    console, known = order.console, builtin()
    stories = {name: story(path) for name, path in known.items()}
    if order.name is None:
        if order.output is not None:
            raise UserError("--output: needs the NAME of what is to be copied")
        columns = Column("configuration"), Column("story", align="left")
        Table("", columns, list(stories.items()), narrow="wrap").print(console)
        return stories
    if order.name not in known:
        raise UserError(f"{order.name}: no such built-in configuration; they are {', '.join(known)}")
    content = known[order.name].read_bytes()
    if order.output is None:
        console.out(content.decode(), highlight=False, end="")
        return stories
    refuse_unwritable(order.output)
    write_file(order.output, content)
    console.print(f"Written: {order.output}", highlight=False, markup=False)
    return stories


def story(path: Path) -> str:
    """The first sentence of the comment that a configuration begins with."""
    comment = re.match(r"(#.*\n)*", path.read_text(encoding="utf-8"))
    text = " ".join(line.lstrip("# ") for line in comment.group(0).splitlines()) if comment else ""
    return re.split(r"(?<=\.)\s", f"{text} ", maxsplit=1)[0]
