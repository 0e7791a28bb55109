"""What a trace becomes for each tool."""

from __future__ import annotations

import json
from typing import Any

import yaml
from tests.export.conftest import CALLED, OFFERED, PLAIN, REASONED, SEVERAL, TOOL, Export, call, rows, said, trace

BLOCK = "<think>\nnine and nine\n</think>\n\n18"


def test_trl_has_a_prompt_and_a_completion_for_each_trained_reply(export: Export) -> None:
    facts, out = export("trl", [REASONED, PLAIN, SEVERAL])
    lines = rows(out / "train.jsonl")
    assert lines[0] == {
        "prompt": [{"role": "user", "content": "9 + 9?"}],
        "completion": [{"role": "assistant", "content": BLOCK}],
    }
    assert lines[1]["completion"] == [{"role": "assistant", "content": "Hi."}]
    assert [line["completion"][0]["content"] for line in lines[2:]] == [
        "<think>\nfirst\n</think>\n\n1",
        "<think>\nsecond\n</think>\n\n2",
    ]
    # What an earlier reply's reasoning becomes is for the chat template to say.
    assert lines[3]["prompt"][1] == {"role": "assistant", "content": "1", "reasoning_content": "first"}
    assert facts["splits"]["train"] == {
        "traces": 3,
        "written": 3,
        "lines": 4,
        "lines_by_file": {"train.jsonl": 4},
        "lines_without_reasoning": 1,
        "left_out": {},
    }


def test_trl_has_calls_with_arguments_as_values(export: Export) -> None:
    _, out = export("trl", [CALLED])
    first, last = rows(out / "train.jsonl")
    assert json.loads(first["tools"]) == [TOOL]
    function = {"name": "add", "arguments": {"a": 2, "b": 3}}
    assert first["completion"] == [
        {
            "role": "assistant",
            "content": "<think>\nI call.\n</think>\n\n",
            "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        }
    ]
    assert last["prompt"][2] == {"role": "tool", "content": "5", "tool_call_id": "c1", "name": "add"}


def test_axolotl_flags_the_one_trained_message_of_each_line(export: Export) -> None:
    _, out = export("axolotl", [PLAIN, SEVERAL])
    lines = rows(out / "train.jsonl")
    assert [[message["train"] for message in line["messages"]] for line in lines] == [
        [False, False, True],
        [False, True],
        [False, False, False, True],
    ]
    assert all(line.keys() == {"messages"} for line in lines)


def test_axolotl_has_calls_with_arguments_as_text(export: Export) -> None:
    _, out = export("axolotl", [CALLED])
    first, _ = rows(out / "train_calls.jsonl")
    (function,) = (each["function"] for each in first["messages"][1]["tool_calls"])
    assert json.loads(function["arguments"]) == {"a": 2, "b": 3}


def test_axolotl_config_names_every_file_and_only_them(export: Export) -> None:
    _, out = export("axolotl", [REASONED, CALLED, OFFERED], held_out=[PLAIN])
    config = yaml.safe_load((out / "axolotl.yaml").read_text())
    assert {each["path"] for each in config["datasets"]} == {
        "train.jsonl",
        "train_calls.jsonl",
        "train_tools.jsonl",
    }
    assert [each["path"] for each in config["test_datasets"]] == ["validation.jsonl"]
    for each in config["datasets"]:
        assert each["type"] == "chat_template"
        assert each["message_field_training"] == "train"
        assert (out / each["path"]).is_file()


def test_llama_factory_has_its_own_names_of_who_speaks(export: Export) -> None:
    _, out = export("llama-factory", [PLAIN, CALLED])
    (plain,) = rows(out / "train.jsonl")
    assert [each["from"] for each in plain["conversations"]] == ["system", "human", "gpt"]
    first, last = rows(out / "train_calls.jsonl")
    value = first["conversations"][-1]
    assert value["from"] == "function_call"
    thoughts, _, calls = value["value"].partition("</think>\n\n")
    assert thoughts == "<think>\nI call.\n"
    assert json.loads(calls) == [{"name": "add", "arguments": {"a": 2, "b": 3}}]
    # Thoughts before the trained reply are not written: this form has no place for them but the text.
    assert [each["from"] for each in last["conversations"]] == ["human", "function_call", "observation", "gpt"]
    assert "think" not in last["conversations"][1]["value"]


def test_llama_factory_data_sets_are_described_and_named_in_its_config(export: Export) -> None:
    _, out = export("llama-factory", [REASONED, CALLED], held_out=[PLAIN])
    info = json.loads((out / "dataset_info.json").read_text())
    config = yaml.safe_load((out / "llama_factory.yaml").read_text())
    assert config["dataset"].split(",") + config["eval_dataset"].split(",") == list(info)
    assert {name: entry["file_name"] for name, entry in info.items()} == {
        "abacus_train": "train.jsonl",
        "abacus_train_calls": "train_calls.jsonl",
        "abacus_validation": "validation.jsonl",
    }
    assert info["abacus_train_calls"]["columns"] == {"messages": "conversations", "tools": "tools"}
    assert info["abacus_train"]["columns"] == {"messages": "conversations"}


def test_openai_has_whole_conversations_with_weights(export: Export) -> None:
    _, out = export("openai", [SEVERAL])
    (line,) = rows(out / "train.jsonl")
    # It ends with its last trained reply.
    assert [(message["role"], message.get("weight")) for message in line["messages"]] == [
        ("user", None),
        ("assistant", 1),
        ("user", None),
        ("assistant", 1),
    ]


def test_openai_calls_and_results_share_ids_that_a_trace_need_not_have(export: Export) -> None:
    two = (call("add", {"a": 1}, None), call("add", {"a": 2}, None))
    row = trace(
        said("user", "1 and 2"),
        said("assistant", "", tool_calls=two, train=False),
        said("tool", "one"),
        said("tool", "two"),
        said("assistant", "Done."),
        tools=(TOOL,),
    )
    _, out = export("openai", [row])
    (line,) = rows(out / "train.jsonl")
    _, calls, one, other, _ = line["messages"]
    assert [each["id"] for each in calls["tool_calls"]] == [one["tool_call_id"], other["tool_call_id"]]
    assert one["tool_call_id"] != other["tool_call_id"]
    assert "content" not in calls
    assert calls["weight"] == 0
    assert line["tools"] == [TOOL]
    assert line["parallel_tool_calls"] is True


def test_reasoning_can_be_dropped(export: Export) -> None:
    for to in ("trl", "axolotl", "llama-factory", "openai"):
        facts, out = export(to, [REASONED, SEVERAL, CALLED], reasoning="drop")
        text = "".join(path.read_text() for path in out.glob("train*.jsonl"))
        assert "think" not in text
        assert "nine and nine" not in text
        assert "first" not in text
        train: dict[str, Any] = facts["splits"]["train"]
        assert train["lines_without_reasoning"] == train["lines"]


def test_reasoning_in_the_content_is_the_same_as_beside_it(export: Export) -> None:
    inside = trace(said("user", "9 + 9?"), said("assistant", f"{BLOCK}\n", train=True))
    _, out = export("trl", [REASONED, inside])
    one, other = rows(out / "train.jsonl")
    assert one == other
