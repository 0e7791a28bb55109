"""How the commands print what they have to say."""

from __future__ import annotations

import json
import sys
import unicodedata
from typing import Any


def print_json(result: Any) -> None:
    # A stream that cannot hold every character would show some as `?`.
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    sys.stdout.write(json.dumps(result, indent=2, ensure_ascii=not is_unicode) + "\n")


def print_result(*lines: str) -> None:
    """Sentences, in which a server's name for its model may stand: it cannot write on the terminal."""
    sys.stdout.writelines(visible(line) + "\n" for line in lines)


def visible(text: str) -> str:
    """Text of a model's without the control characters by which it could write on the terminal as it likes."""
    return "".join(char if _is_harmless(char) else "\N{REPLACEMENT CHARACTER}" for char in text)


def _is_harmless(char: str) -> bool:
    """Blanks of any width among them, such as the one before a per cent sign: Python calls them not printable."""
    return char.isprintable() or char in "\n\t" or unicodedata.category(char) == "Zs"
