"""Names of sellers and markets: as people write them, but for what commands, charts and file names take for their own."""

from __future__ import annotations

import re
import unicodedata

FORBIDDEN = re.compile(r"[/\\<>\[\]{}|\"*?:=`\x00-\x1f\x7f]")
LONGEST = 200  # bytes: a checkpoint's file is called so, and 255 are the most that file systems take
RULE = 'a name of at most 200 bytes without / \\ < > [ ] { } | " * ? : = ` or line breaks, that begins with no bracket'


def is_name(text: str) -> bool:
    """Whether a text can be a seller's name. ``Kaffee Müller, 500 g`` and ``日本茶`` can, ``a/b`` cannot."""
    plain = text.strip() == text != "" and not FORBIDDEN.search(text) and text.isprintable()
    return plain and not text.startswith("(") and text not in (".", "..") and len(text.encode()) <= LONGEST


def as_name(text: str) -> str:
    """A text of a file as a name: one form of every letter, spaces as one, ``_`` for what names cannot have."""
    text = re.sub(r"\s+", " ", unicodedata.normalize("NFC", text)).strip()
    return re.sub(r"^\(", "_", "".join(one if one.isprintable() and not FORBIDDEN.match(one) else "_" for one in text))
