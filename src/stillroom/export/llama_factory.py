"""For LLaMA-Factory: its sharegpt form, with the entry of dataset_info.json that loads it.

Not its `openai` form: that one writes `detailed thinking off` into each system message.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from stillroom.base.records import Trace
from stillroom.export.conversation import LeftOut, Turn, up_to_each_reply
from stillroom.export.form import Form, Line, Written, part_of

CONFIG = "llama_factory.yaml"
_ASKS, _ANSWERS = ("human", "observation"), ("gpt", "function_call")


def lines(turns: list[Turn], trace: Trace) -> Iterator[Line]:
    tools = {"tools": json.dumps(trace.tools, ensure_ascii=False) if trace.tools else ""} if part_of(trace) else {}
    for conversation in up_to_each_reply(turns):
        said = [_message(turn) for turn in conversation]
        _refuse_order(said)
        yield {"conversations": said, **tools}


def _message(turn: Turn) -> Line:
    """A reply before the trained one is without its reasoning, as most chat templates have it."""
    if turn.calls:
        if turn.text:
            raise LeftOut("text_beside_call")
        calls = [{"name": call.name, "arguments": call.arguments} for call in turn.calls]
        written = json.dumps(calls, ensure_ascii=False, allow_nan=False)
        thoughts = turn.content if turn.trained else ""
        return {"from": "function_call", "value": thoughts + written}
    speaker = {"system": "system", "user": "human", "tool": "observation", "assistant": "gpt"}[turn.role]
    return {"from": speaker, "value": turn.content if turn.trained else turn.text}


def _refuse_order(said: list[Line]) -> None:
    """One system message at the start at most, then question and reply in turn: it skips all others."""
    speakers = [each["from"] for each in said]
    first = speakers[:1] == ["system"]
    for place, speaker in enumerate(speakers[first:]):
        if speaker not in (_ANSWERS if place % 2 else _ASKS):
            raise LeftOut("roles_do_not_alternate", f"message {place + first + 1}")


def more_files(written: Written) -> Mapping[str, str]:
    names = _names(written)
    info = {
        name: {
            "file_name": file,
            "formatting": "sharegpt",
            "columns": {"messages": "conversations"} | ({} if _is_plain(file) else {"tools": "tools"}),
            "tags": {
                "role_tag": "from",
                "content_tag": "value",
                "user_tag": "human",
                "assistant_tag": "gpt",
                "observation_tag": "observation",
                "function_tag": "function_call",
                "system_tag": "system",
            },
        }
        for split in names.values()
        for name, file in split.items()
    }
    keys = {"train": "dataset", "validation": "eval_dataset"}
    value: dict[str, Any] = {
        "dataset_dir": ".",
        **{keys[split]: ",".join(each) for split, each in names.items()},
        "mask_history": True,
        "train_on_prompt": False,
        "enable_thinking": True,
        "preserve_thinking": False,
    }
    text = (
        "# The part of a LLaMA-Factory config that trains these rows. Yours to add: model_name_or_path, stage: sft,\n"
        "# template, cutoff_len and the rest. Run llamafactory-cli in this folder.\n"
        "# mask_history: each conversation ends with the reply that is trained, and the earlier ones are its prompt.\n"
        "# enable_thinking: false would remove the thoughts; see README.md for what true does to replies without any.\n"
        + yaml.safe_dump(value, sort_keys=False)
    )
    return {"dataset_info.json": json.dumps(info, indent=2) + "\n", CONFIG: text}


def _names(written: Written) -> dict[str, dict[str, str]]:
    """By split: the name that LLaMA-Factory is given for each file."""
    stem = written.about.name
    return {
        split: {"_".join([stem, file.removesuffix(".jsonl")]): file for file in files}
        for split, files in written.files.items()
    }


def _is_plain(file: str) -> bool:
    return file.removesuffix(".jsonl") in ("train", "validation")


FORM = Form("LLaMA-Factory", "llama_factory.md.j2", lines, more_files, part=part_of)
