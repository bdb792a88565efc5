"""YAML that anybody may have written: what is beyond a limit is refused before it costs anything."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from market.errors import UserError
from market.spec.loading import read_yaml
from market.spec.plain_yaml import DEEPEST, LONGEST_NUMBER, MOST_BYTES, MOST_VALUES, plain_data
from policies.config.run import read_config
from tests.helpers.small_run import DUOPOLY

LAUGHS = "a0: &a0 [lol, lol]\n" + "".join(f"a{k}: &a{k} [{', '.join(8 * [f'*a{k - 1}'])}]\n" for k in range(1, 30))
MERGES = "a0: &a0 {x: 1, y: 2}\n" + "".join(f"a{k}: &a{k}\n  <<: [*a{k - 1}, *a{k - 1}]\n" for k in range(1, 60))
CHAIN = "a0: &a0 [1]\n" + "".join(f"a{k}: &a{k} [*a{k - 1}]\n" for k in range(1, 3_000))
BEYOND = f"more than a configuration may hold: {MOST_VALUES:,} values, aliases written out, and {DEEPEST} levels"

HOSTILE = {
    "billion laughs": (LAUGHS, f"line 6: is {BEYOND}"),
    "billion merges": (MERGES, f"is {BEYOND}"),
    "a chain of aliases": (CHAIN, f"line {DEEPEST - 1}: is {BEYOND}"),
    "itself": ("a: &a [1, *a]\n", "line 1: an alias stands within what it means"),
    "itself as a mapping": ("a: &a\n  b: *a\n", "line 2: an alias stands within what it means"),
    "levels": (f"a: {'[' * 3_000}{']' * 3_000}\n", "line 1"),  # libyaml's own limit may come first
    "levels without an end": ("[" * (MOST_BYTES - 1), "line 1"),
    "levels of mappings": ("".join(f"{' ' * k}k:\n" for k in range(1_000)), f"line {DEEPEST}: is {BEYOND}"),
    "many values": (f"a: [{'1, ' * (MOST_VALUES + 1)}]\n", f"line 1: is {BEYOND}"),
    "digits": (f"a: 1\nb: {'7' * 6_000}\n", f"is too long a number (6,000 characters, at most {LONGEST_NUMBER})"),
    "sixties": (f"a: {'1:' * 5_000}1\n", "is too long a number (10,001 characters"),
    "bytes": (f"a: {'x' * MOST_BYTES}\n", "is larger than a configuration may be (1 MB)"),
    "no such day": ("a: 2001-99-99\n", "line 1: '2001-99-99' is not a value of the kind timestamp"),
    "no number": ("a: !!int many\n", "line 1: 'many' is not a value of the kind int"),
    "no truth": ("a: !!bool perhaps\n", "line 1: 'perhaps' is not a value of the kind bool"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_beyond_a_limit_is_refused_in_one_line_with_its_place(what: str, tmp_path: Path) -> None:
    text, said = HOSTILE[what]
    path = tmp_path / "hostile.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as refusal:
        read_yaml(path)
    message = str(refusal.value)
    assert message.startswith(f"{path}: ") and said in message and "\n" not in message and len(message) < 300
    with pytest.raises(UserError) as refusal:
        read_config(DUOPOLY, (f"market.name={text}",))
    assert str(refusal.value).startswith("--set market.name=") and len(str(refusal.value)) < 400


def test_what_is_within_the_limits_is_what_yaml_says() -> None:
    """Aliases, merges, tags and dates are read as PyYAML's own safe loader reads them."""
    text = (
        "base: &b {x: 1, y: [1.5, 0x1F, 1_000, 1:30, .inf, ~, yes, 2001-12-14]}\n"
        "other: {<<: *b, y: 'no', z: *b}\nbinary: !!binary aGVsbG8=\npairs: !!omap [a: 1, b: 2]\n"
        f"deep: {'[' * (DEEPEST - 2)}{']' * (DEEPEST - 2)}\nlong: {'9' * LONGEST_NUMBER}\ntext: |\n  Kaffee\n  日本茶\n"
    )
    assert plain_data(text) == plain_data(text.encode()) == yaml.safe_load(text)


def test_a_message_shows_the_beginning_of_what_is_long_and_counts_what_is_much() -> None:
    with pytest.raises(UserError) as refusal:
        read_config(DUOPOLY, (f"market.horizon={'x' * 5_000}",))
    assert "market.horizon" in str(refusal.value) and len(str(refusal.value)) < 300
    keys = ", ".join(f"k{k}: 1" for k in range(1_000))
    with pytest.raises(UserError) as refusal:
        read_config(DUOPOLY, (f"training={{{keys}}}",))
    assert len(str(refusal.value).splitlines()) == 21 and "980 more mistakes" in str(refusal.value)
