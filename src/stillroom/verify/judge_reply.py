r"""Reading what a judge replied: one JSON object with a verdict, or nothing.

About one reply in seven of some judges is not quite JSON: a backslash of LaTeX that is no escape, a comma too many, a
line break inside a text. These three are mended, and it is said that they were. Nothing is guessed from prose.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MOST_CHARACTERS = 100_000
"""A longer reply is no verdict."""

_FENCE = re.compile(r"```(?:json|JSON)?[ \t]*\n(.*?)\n[ \t]*```", re.DOTALL)
_STRING_OR_COMMA = re.compile(r'"(?:[^"\\]|\\.)*"|,(?=\s*[}\]])', re.DOTALL)
_BACKSLASH = re.compile(r"\\(?:u[0-9a-fA-F]{4}|[\"\\/bfnrt])|\\")


@dataclass(frozen=True, slots=True)
class JudgeReply:
    """One reply of a judge. `verdict` is None where it gave none that can be read, and `reason` says why."""

    verdict: str | None
    reason: str
    is_repaired: bool = False
    seconds: float = 0.0
    """How long it took, where that is known."""


def read_verdict(text: str, verdicts: Sequence[str]) -> JudgeReply:
    """The object of a reply: the whole of it, its one fenced block, or what stands between its outer braces."""
    if len(text) > MOST_CHARACTERS:
        return JudgeReply(None, "the reply is too long for a verdict")
    found, is_repaired = _read_object(_object_text(text))
    if found is None:
        return JudgeReply(None, "the reply is not one JSON object")
    verdict = found.get("verdict")
    if not isinstance(verdict, str) or verdict.strip().lower() not in verdicts:
        return JudgeReply(None, "the reply has no verdict of those it was offered", is_repaired)
    reason = found.get("reason")
    words = " ".join(reason.split())[:300] if isinstance(reason, str) else "no reason given"
    return JudgeReply(verdict.strip().lower(), words, is_repaired)


def _object_text(text: str) -> str:
    blocks = _FENCE.findall(text)
    if len(blocks) == 1:
        text = blocks[0]
    return text[text.find("{") : text.rfind("}") + 1]


def _read_object(text: str) -> tuple[dict[str, Any] | None, bool]:
    """The object, and whether it had to be mended."""
    for candidate, is_repaired in ((text, False), (_repaired(text), True)):
        try:
            value = json.loads(candidate, strict=not is_repaired, object_pairs_hook=_without_repetition)
        except (ValueError, RecursionError):
            continue
        return (value if isinstance(value, dict) else None), is_repaired
    return None, False


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Raises ValueError where a key stands twice: of two verdicts, neither counts."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _repaired(text: str) -> str:
    """Backslashes that escape nothing are doubled, and commas before a closing bracket are taken out."""

    def mended(match: re.Match[str]) -> str:
        part = match[0]
        if part == ",":
            return ""
        return _BACKSLASH.sub(lambda escape: "\\\\" if escape[0] == "\\" else escape[0], part)

    return _STRING_OR_COMMA.sub(mended, text)
