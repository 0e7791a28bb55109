"""For OpenAI's supervised fine-tuning, and servers that take the same file: whole conversations, `weight` on replies.

The rules: https://platform.openai.com/docs/guides/supervised-fine-tuning, and the API's reference as far as its Python
package repeats it. A file has 512 MB at most.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stillroom.base.records import Trace
from stillroom.export.conversation import LeftOut, Turn
from stillroom.export.form import Form, Line

FILE_BYTES = 512_000_000
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def lines(turns: list[Turn], trace: Trace) -> Iterator[Line]:
    end = max(place for place, turn in enumerate(turns, 1) if turn.trained)
    kept = turns[:end]
    _refuse_names(kept, trace.tools or ())
    line: Line = {"messages": [_message(turn) for turn in kept]}
    if trace.tools:
        line |= {"tools": list(trace.tools), "parallel_tool_calls": any(len(turn.calls) > 1 for turn in kept)}
    yield line


def _message(turn: Turn) -> Line:
    if turn.role == "assistant":
        said: Line = {"role": "assistant", "weight": int(turn.trained)}
        if turn.content or not turn.calls:
            said["content"] = turn.content
        if turn.calls:
            said["tool_calls"] = [
                {
                    "id": call.identity,
                    "type": "function",
                    "function": {
                        "name": call.name,
                        "arguments": json.dumps(call.arguments, ensure_ascii=False, allow_nan=False),
                    },
                }
                for call in turn.calls
            ]
        return said
    result = {} if turn.result_of is None else {"tool_call_id": turn.result_of.identity}
    return {"role": turn.role, **result, "content": turn.text}


def _refuse_names(turns: Sequence[Turn], tools: Sequence[Mapping[str, Any]]) -> None:
    offered = [tool.get("function", {}).get("name") for tool in tools if isinstance(tool.get("function"), dict)]
    for name in (*(call.name for turn in turns for call in turn.calls), *offered):
        if not (isinstance(name, str) and _NAME.fullmatch(name)):
            raise LeftOut("tool_name", str(name)[:80])


FORM = Form("OpenAI fine-tuning", "openai.md.j2", lines, file_bytes=FILE_BYTES)
