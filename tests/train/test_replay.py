"""General data that is mixed in: from its file through the check to a trained student."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from stillroom.ask.files import file_rows
from stillroom.base.progress import Silent
from stillroom.base.records import Message, Question
from stillroom.check.run import check
from stillroom.check.settings import CheckSettings
from stillroom.store.schemas import REPLIES
from stillroom.store.tables import read_traces, write_questions, write_table
from stillroom.train.render import Renderer
from stillroom.train.run import train
from stillroom.train.settings import TrainSettings

ADD = {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object"}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 9, "b": 9}'}}
ASKED = {"role": "user", "content": "Nine and nine?"}
CALLS = {"role": "assistant", "content": "", "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "18"}
SAID = {"role": "assistant", "content": "It is eighteen."}
THANKS = {"role": "user", "content": "Thank you. What is that in words?"}
KEEP_ALL = {"duplicates": "keep", "near_duplicates": "keep"}
GENERAL = [
    {"messages": [ASKED, CALLS, RESULT, SAID], "tools": [ADD]},
    {"messages": [ASKED, CALLS], "tools": [ADD]},
    {"messages": [{"role": "system", "content": "Be kind."}, ASKED, SAID, THANKS, SAID]},
]


def checked(folder: Path) -> Path:
    """traces.parquet of a run with two rows of its own and three of general data."""
    questions, replies = [], []
    for name in ("pears", "plums"):
        asked = Message(role="user", content=f"How many {name}?")
        questions.append(Question(id=name, messages=(asked,), answer="18", kind="number", source="own"))
        row: dict[str, Any] = dict.fromkeys(REPLIES.names)
        row |= {"key": f"sha256:{name}", "question_id": name, "sample": 0, "teacher": "t", "status": "ok"}
        replies.append(row | {"reasoning_form": "full", "reasoning": "9 + 9 = 18", "answer": "18", "block": "none"})
    write_questions(folder / "questions.parquet", questions)
    write_table(folder / "replies.parquet", REPLIES, replies)
    general = folder / "general.jsonl"
    general.write_text("".join(json.dumps(row) + "\n" for row in GENERAL))
    settings = CheckSettings.model_validate({"mix": [{"path": str(general)}], "overlap": KEEP_ALL})
    assert check(folder, settings, read_rows=file_rows)["kept"] == 5
    return folder / "traces.parquet"


def test_general_rows_render_with_their_tools_and_turns_and_train(
    students: Callable[[str], Any], tmp_path: Path
) -> None:
    student = students("qwen2.5")
    traces = checked(tmp_path)
    renderer = Renderer(student.tokenizer, "sft", student.end_ids)
    trained = set()
    for trace in read_traces(traces):
        (row,) = renderer.render(trace)
        assert ("Adds." in student.text(row.ids)) == (trace.tools is not None)
        trained.add(student.text(row.ids[row.trained]))
    call = '<tool_call>\n{"name": "add", "arguments": {"a": 9, "b": 9}}\n</tool_call><|im_end|>'
    assert trained == {
        call,
        f"{call}It is eighteen.<|im_end|>",
        "It is eighteen.<|im_end|>",
        "<think>\n9 + 9 = 18\n</think>\n\n18<|im_end|>",
    }
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(student.tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=1024,
        bos_token_id=None,
        eos_token_id=student.tokenizer.eos_token_id,
        pad_token_id=student.tokenizer.pad_token_id,
    )
    Qwen2ForCausalLM(config).save_pretrained(tmp_path / "model")
    student.tokenizer.save_pretrained(tmp_path / "model")
    settings = TrainSettings(student="tiny", epochs=6, learning_rate=0.01, step_tokens=512, threads=1)
    facts = train(traces, tmp_path / "model", tmp_path / "train", settings, Silent())
    assert (facts["traces"], facts["skipped"]) == (5, {})
    assert facts["curve"][-1][1] < facts["curve"][0][1]
