"""The files as the datasets library reads them, and as the types of OpenAI's package."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from datasets import load_dataset  # type: ignore[import-untyped]
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from pydantic import TypeAdapter
from tests.export.conftest import CALLED, OFFERED, PLAIN, REASONED, SEVERAL, TOOL, Export, call, rows, said, trace

from stillroom.base.records import Trace

ODD = (
    "a\u2028b\x85c\x00d \U0001f9ee \u202eright to left '\"\\\\ {{content}} </s> <|im_end|>\r\n\té e\u0301 العربية 中文"
)
UNUSUAL = trace(said("user", ODD), said("assistant", ODD, reasoning=ODD))
OTHER_CALL = trace(
    said("user", "Weather?"),
    said(
        "assistant", "", tool_calls=(call("weather", {"city": "Ωmega", "days": [1, 2.5, None], "deep": {"x": True}}),)
    ),
    tools=(TOOL,),
)
ALL = [REASONED, PLAIN, SEVERAL, UNUSUAL, CALLED, OFFERED, OTHER_CALL]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(each) for key, each in value.items() if each is not None}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


def loaded(file: Path) -> list[dict[str, Any]]:
    return list(load_dataset("json", data_files=str(file), split="train"))


@pytest.mark.parametrize("to", ["trl", "axolotl", "llama-factory"])
def test_every_file_reads_back_as_it_was_written(export: Export, to: Any) -> None:
    facts, out = export(to, ALL, held_out=ALL[:4])
    for split in facts["splits"].values():
        for name, count in split["lines_by_file"].items():
            written, read = rows(out / name), loaded(out / name)
            assert len(read) == count
            # Columns that other rows have are null; nothing else is lost or added. None in a call's arguments is
            # there in the text, or in Json.
            assert list(map(without_nulls, read)) == list(map(without_nulls, written))


def test_trl_reads_the_folder_by_its_head_with_no_field_added(export: Export) -> None:
    """Also where the first row with a call comes after what the library looks at to guess the columns."""
    plain = trace(said("user", "x" * 4_000_000), said("assistant", "!"))
    _, out = export("trl", [plain] * 3 + [CALLED, OTHER_CALL, OFFERED], held_out=[PLAIN])
    splits = load_dataset(str(out))
    assert set(splits) == {"train", "validation"}
    for split in splits:
        for row, line in zip(splits[split], rows(out / f"{split}.jsonl"), strict=True):
            assert {key: value for key, value in row.items() if value is not None} == line


def back(conversation: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in conversation]


def test_round_trip_through_trl(export: Export) -> None:
    """Exported and read back, the replies and their prompts are the traces'."""
    traces: list[Trace] = [REASONED, PLAIN, UNUSUAL, CALLED]
    _, out = export("trl", traces)
    read = loaded(out / "train.jsonl")
    expected = []
    for each in traces:
        for place, message in enumerate(each.messages):
            if message.role == "assistant":
                thoughts = f"<think>\n{message.reasoning.strip()}\n</think>\n\n" if message.reasoning else ""
                before = [(earlier.role, earlier.content) for earlier in each.messages[:place]]
                expected.append([*before, ("assistant", thoughts + message.content.strip())])
    assert [back([*row["prompt"], *row["completion"]]) for row in read] == expected


@pytest.mark.parametrize("reasoning", ["keep", "drop"])
def test_lines_for_openai_are_of_the_types_of_its_package(export: Export, reasoning: Any) -> None:
    """Its package has no type for a line of a training file; `weight` is the one field that messages do not have."""
    _, out = export("openai", ALL, reasoning=reasoning)
    message_type = TypeAdapter[Any](ChatCompletionMessageParam)
    tool_type = TypeAdapter[Any](ChatCompletionToolParam)
    for line in rows(out / "train.jsonl"):
        assert line.keys() <= {"messages", "tools", "parallel_tool_calls"}
        assert line["messages"][-1]["role"] == "assistant"
        assert line["messages"][-1]["weight"] == 1
        for message in line["messages"]:
            weight = message.pop("weight", None)
            assert weight in ((0, 1) if message["role"] == "assistant" else (None,))
            checked = message_type.validate_python(message, strict=True)
            assert checked.keys() == message.keys()  # fields that the type does not know would be gone
            for each in message.get("tool_calls", ()):
                assert isinstance(json.loads(each["function"]["arguments"]), dict)
        for tool in line.get("tools", ()):
            tool_type.validate_python(tool)
