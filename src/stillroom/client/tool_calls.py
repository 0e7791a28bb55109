"""Tool calls of one reply, whole or in fragments, in one plain form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class _Call:
    id: str | None = None
    name: str | None = None
    fragments: list[str] = field(default_factory=list)
    value: object = None
    """Arguments that are no text."""


def read_tool_calls(value: object) -> tuple[dict[str, Any], ...]:
    """`{id, name, arguments}` of each call in a message's `tool_calls`, in the order in which they began.

    A stream sends a call in fragments of one index, or of none where the server has only one call: names come once,
    arguments are joined. `arguments` is the text that the model wrote, or what the server made of it, or None.
    """
    calls: list[_Call] = []
    by_index: dict[int, _Call] = {}
    for fragment in value if isinstance(value, list) else []:
        if not isinstance(fragment, dict):
            continue
        told = fragment.get("function") or fragment.get("custom")
        said: Mapping[str, Any] = told if isinstance(told, dict) else {}
        index = fragment.get("index")
        call = by_index.get(index) if isinstance(index, int) else calls[-1] if calls else None
        if call is None or _begins_another(call, fragment, said):
            call = _Call()
            calls.append(call)
            if isinstance(index, int):
                by_index[index] = call
        call.id = _text(fragment.get("id")) or call.id
        call.name = _text(said.get("name")) or call.name
        arguments = said.get("arguments", said.get("input"))
        if isinstance(arguments, str):
            call.fragments.append(arguments)
        elif arguments is not None:
            call.value = arguments
    return tuple(
        {"id": call.id, "name": call.name, "arguments": "".join(call.fragments) if call.fragments else call.value}
        for call in calls
    )


def _begins_another(call: _Call, fragment: Mapping[str, Any], said: Mapping[str, Any]) -> bool:
    """Some servers give every call the index 0, or none: a new id begins a new call, and so does a name without one."""
    identity = _text(fragment.get("id"))
    if identity:
        return call.id is not None and identity != call.id
    return not isinstance(fragment.get("index"), int) and _text(said.get("name")) is not None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
