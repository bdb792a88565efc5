"""YAML as plain data, within limits: anybody may have written it, and a few lines can mean more than any memory holds.

Limits are of what a text means, aliases (``*name``) written out: :data:`MOST_VALUES`, :data:`DEEPEST`,
:data:`LONGEST_NUMBER`; and :data:`MOST_BYTES` of the text. They are checked while it is read, so that whatever goes
beyond one of them is refused in about a second.
"""

from __future__ import annotations

from typing import Any

import yaml
from yaml.composer import Composer

from market.errors import UserError

MOST_BYTES, MOST_VALUES, DEEPEST, LONGEST_NUMBER = 1_000_000, 50_000, 50, 100
SHOWN = 40  # characters of a value in a message
NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
# What its constructors raise on a value that does not suit its tag, such as the date 2001-99-99, depends on the tag.
UNSUITABLE = (ValueError, KeyError, IndexError, AttributeError, OverflowError)
Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # some ten times faster where PyYAML was built with libyaml


class _Loader(Composer, Parser):  # type: ignore[misc]
    """YAML's safe loader that refuses what is beyond a limit, and a key written twice (YAML keeps the last in silence)."""

    def __init__(self, text: str) -> None:
        Parser.__init__(self, text)
        Composer.__init__(self)
        self._level = 0
        self._extent: dict[yaml.Node, tuple[int, int]] = {}  # of what has been read: its values and its levels

    def compose_node(self, parent: Any, index: Any) -> Any:
        alias, line = self.check_event(yaml.AliasEvent), self.peek_event().start_mark.line + 1
        self._level += 1
        if self._level > DEEPEST or len(self._extent) > MOST_VALUES:
            raise _beyond(line)
        node: Any = super().compose_node(parent, index)
        self._level -= 1
        if not alias:
            self._extent[node] = self._measured(node)
        elif node not in self._extent:
            raise UserError(f"line {line}: an alias stands within what it means")
        values, levels = self._extent[node]
        if values > MOST_VALUES or self._level + levels > DEEPEST:
            raise _beyond(line)
        return node

    def _measured(self, node: Any) -> tuple[int, int]:
        inside = node.value if isinstance(node, yaml.SequenceNode) else []
        inside = [one for pair in node.value for one in pair] if isinstance(node, yaml.MappingNode) else inside
        extents = [self._extent[one] for one in inside]
        return 1 + sum(values for values, _ in extents), 1 + max((levels for _, levels in extents), default=0)

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise UserError(f"line {key.start_mark.line + 1}: key {_short(key.value)} is written twice")
            seen.add(str(key.value))
        return node

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        line = node.start_mark.line + 1
        if node.tag in NUMBERS and len(node.value) > LONGEST_NUMBER:
            long = f"{len(node.value):,} characters, at most {LONGEST_NUMBER}"
            raise UserError(f"line {line}: {_short(node.value)} is too long a number ({long})")
        try:
            return super().construct_object(node, deep=deep)
        except UserError:
            raise
        except UNSUITABLE:
            what = node.tag.rpartition(":")[2]
            raise UserError(f"line {line}: {_short(node.value)} is not a value of the kind {what}") from None


def _beyond(line: int) -> UserError:
    limits = f"{MOST_VALUES:,} values, aliases written out, and {DEEPEST} levels"
    return UserError(f"line {line}: is more than a configuration may hold: {limits}")


def _short(value: Any) -> str:
    text = str(value)
    return repr(text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}...")


def plain_data(text: str | bytes) -> Any:
    """What a YAML text says, bytes being UTF-8; raise :class:`UserError` with the rule where it is none, or beyond a limit."""
    if len(text) > MOST_BYTES:
        raise UserError(f"is larger than a configuration may be ({MOST_BYTES // 1_000_000} MB)")
    try:
        return yaml.load(text if isinstance(text, str) else text.decode(), Loader=_Loader)
    except UnicodeDecodeError:
        raise UserError("cannot be read (is not UTF-8 text)") from None
    except yaml.YAMLError as error:
        raise UserError(f"is not valid YAML ({' '.join(str(error).split())})") from None
