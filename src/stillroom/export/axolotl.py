"""For Axolotl: the `chat_template` type, with a flag on each message that says whether it is trained."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import yaml

from stillroom.base.records import Trace
from stillroom.export import trl
from stillroom.export.conversation import Turn, up_to_each_reply
from stillroom.export.form import Form, Line, Written, part_of

CONFIG = "axolotl.yaml"


def lines(turns: list[Turn], trace: Trace) -> Iterator[Line]:
    tools = {"tools": json.dumps(trace.tools or [], ensure_ascii=False)} if part_of(trace) else {}
    for conversation in up_to_each_reply(turns):
        yield {"messages": [_message(turn) for turn in conversation], **tools}


def _message(turn: Turn) -> Line:
    """Arguments are JSON text, which Axolotl reads: as columns, each call would have those of all others."""
    said = trl.message(turn) | {"train": turn.trained}
    for call in said.get("tool_calls", ()):
        call["function"]["arguments"] = json.dumps(call["function"]["arguments"], ensure_ascii=False)
    return said


def config(written: Written) -> str:
    shared = {
        "ds_type": "json",
        "type": "chat_template",
        "field_messages": "messages",
        "message_property_mappings": {
            "role": "role",
            "content": "content",
            "reasoning_content": "reasoning_content",
        },
        "message_field_training": "train",
        "roles_to_train": ["assistant"],
        "train_on_eos": "turn",
    }
    names = {"train": "datasets", "validation": "test_datasets"}
    value: dict[str, Any] = {
        "chat_template": "tokenizer_default",
        **{
            names[split]: [
                {"path": name, **({"split": "train"} if split == "validation" else {}), **shared} for name in files
            ]
            for split, files in written.files.items()
        },
        "train_on_inputs": False,
        "excess_length_strategy": "drop",
    }
    return (
        "# The part of an Axolotl config that trains these rows: the replies with their end tokens, and nothing else.\n"
        "# Yours to add: base_model, sequence_len, the learning rate and the rest. Run axolotl in this folder.\n"
        + yaml.safe_dump(value, sort_keys=False)
        + "# Where the student ends its turns with another token than its EOS token, say so:\n"
        "# eot_tokens: ['<|im_end|>']\n"
    )


FORM = Form("Axolotl", "axolotl.md.j2", lines, lambda written: {CONFIG: config(written)}, part=part_of)
