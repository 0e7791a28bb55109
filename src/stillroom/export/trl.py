"""For TRL's SFTTrainer: conversational prompt and completion, so that the loss falls on the completion alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from stillroom.base.records import Trace
from stillroom.export.conversation import Turn, up_to_each_reply
from stillroom.export.form import Form, Line, Written

_MESSAGES = {"list": "json"}
"""As the datasets library's Json type, in which a call keeps its own arguments: as columns, all calls would get those
of all others, as nulls."""


def lines(turns: list[Turn], trace: Trace) -> Iterator[Line]:
    tools = {"tools": json.dumps(trace.tools, ensure_ascii=False)} if trace.tools else {}
    for conversation in up_to_each_reply(turns):
        *before, reply = map(message, conversation)
        yield {"prompt": before, "completion": [reply], **tools}


def message(turn: Turn) -> Line:
    """The reply that is trained has its reasoning in its content. Earlier ones have it beside it, as a server's client
    sends them back: what becomes of it there is for the chat template to say.
    """
    said: Line = {"role": turn.role, "content": turn.content if turn.trained else turn.text}
    if turn.reasoning is not None and not turn.trained:
        said["reasoning_content"] = turn.reasoning
    if turn.calls:
        said["tool_calls"] = [
            {"id": call.identity, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in turn.calls
        ]
    if turn.result_of is not None:
        said |= {"tool_call_id": turn.result_of.identity, "name": turn.result_of.name}
    return said


def head(written: Written) -> Mapping[str, Any]:
    files = [{"split": split, "path": name} for split, names in written.files.items() for name in names]
    features = [
        {"name": "prompt", **_MESSAGES},
        {"name": "completion", **_MESSAGES},
        {"name": "tools", "dtype": "string"},
    ]
    return {
        "configs": [{"config_name": "default", "data_files": files}],
        "dataset_info": {"config_name": "default", "features": features},
    }


FORM = Form("TRL", "trl.md.j2", lines, head=head)
