"""The tool calls of one reply, whole or in a stream's fragments, in the one form of a whole chat completion."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stillroom.text.well_formed import well_formed


@dataclass(slots=True)
class _Call:
    id: str | None = None
    name: str = ""
    arguments: list[str] = field(default_factory=list)


def read_tool_calls(value: object) -> tuple[dict[str, Any], ...]:
    """Each call in a message's `tool_calls`: `{id, type: function, function: {name, arguments}}`, as they began.

    A stream sends a call in fragments of one index, or of none where the server has only one call: names come once,
    arguments are joined. `arguments` is the text that the model wrote, or the JSON of what the server made of it.
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
        call.arguments.append(arguments_text(said.get("arguments", said.get("input"))))
    return tuple(
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": well_formed("".join(call.arguments))},
        }
        for call in calls
    )


def arguments_text(value: object) -> str:
    """Arguments as one text: as it is, or the JSON of a value, with sorted keys; empty where there are none."""
    if isinstance(value, str):
        return value
    try:
        return "" if value is None else json.dumps(value, sort_keys=True, separators=(",", ":"))
    except RecursionError:
        return ""  # nested deeper than anybody calls a tool


def _begins_another(call: _Call, fragment: Mapping[str, Any], said: Mapping[str, Any]) -> bool:
    """Some servers give every call the index 0, or none: a new id begins a new call, and so does a name without one."""
    identity = _text(fragment.get("id"))
    if identity:
        return call.id is not None and identity != call.id
    return not isinstance(fragment.get("index"), int) and _text(said.get("name")) is not None


def _text(value: object) -> str | None:
    return well_formed(value) if isinstance(value, str) and value else None
