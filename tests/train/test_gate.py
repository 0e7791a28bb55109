"""Rows that would train on something else than the reply stop the run before its first step, and are named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stillroom.base.errors import DataError
from stillroom.base.progress import Silent
from stillroom.base.records import Message, Trace
from stillroom.store.tables import write_traces
from stillroom.train.gate import Gate, admitted
from stillroom.train.render import Rendered, Renderer, Reply, Row
from stillroom.train.run import train
from stillroom.train.settings import Method, PartWeights, TrainSettings

ALIKE = PartWeights()
THOUGHTLESS = PartWeights(reasoning=0)


def trace(answer: str, reasoning: str | None = None, question: str = "How many?", **more: Any) -> Trace:
    said = Message(role="assistant", content=answer, reasoning=reasoning, **more)
    return Trace(question_id="q", messages=(Message(role="user", content=question), said), source="test")


def rendered(student: Any, asked: Trace, weights: PartWeights = ALIKE) -> tuple[Gate, Row]:
    renderer = Renderer(student.tokenizer, "sft", student.end_ids, weights)
    (row,) = renderer.render(asked)
    return Gate(student.tokenizer, "sft", renderer.end_ids, weights), row


def problem_of(student: Any, asked: Trace, method: Method = "sft") -> str | None:
    renderer = Renderer(student.tokenizer, method, student.end_ids)
    (each,) = renderer.render_all([asked])
    return Gate(student.tokenizer, method, renderer.end_ids, ALIKE).problem(each)


@pytest.mark.parametrize(
    ("answer", "reasoning", "problem"),
    [
        ("It is 5.", "2+3", None),
        ("It is 5.", None, None),
        ("", "I think and think", "It has no answer."),
        (" \n", None, "It has no answer."),
        ("<think>2+3 and on", None, "Its think block is not closed."),
        ("<think>a</think>b</think>c", None, "It has think tags besides those of one block."),
        ("Write <think> before it.", None, "It has think tags besides those of one block."),
        ("<think>\nr\n</think>\n\n5", "r", "It has think tags besides those of one block."),
        ("5", "first <think>then", "It has think tags besides those of one block."),
        ("5", "</think>", "It has think tags besides those of one block."),
        ("5<|im_end|>", None, "It has the end token <|im_end|> before its end."),
        ("5<|im_start|>user", None, "It has the control token <|im_start|> before its end."),
        ("5", "so <|endoftext|> it is", "It has the end token <|endoftext|> before its end."),
    ],
)
@pytest.mark.parametrize("name", ["qwen3", "qwen2.5"])
def test_replies_that_cannot_be_trained_on(
    students: Callable[..., Any], name: str, answer: str, reasoning: str | None, problem: str | None
) -> None:
    assert problem_of(students(name), trace(answer, reasoning)) == problem


def test_an_unclosed_block_behind_a_prompt_that_opens_one(students: Callable[..., Any]) -> None:
    assert (
        problem_of(students("deepseek r1"), trace("<think>on and on"))
        == "It has think tags besides those of one block."
    )
    assert problem_of(students("deepseek r1"), trace("r</think>It is 5.")) is None


def test_what_the_question_says_about_tags_is_nobodys_business(student: Any) -> None:
    assert problem_of(student, trace("5", "r", question="What is </think>, and <think>?")) is None


def forged(row: Row, ids: Any = None, weights: Any = None, replies: Any = None) -> Row:
    return replace(
        row,
        ids=row.ids if ids is None else np.asarray(ids, np.int32),
        weights=row.weights if weights is None else np.asarray(weights, np.float32),
        replies=row.replies if replies is None else replies,
    )


def changed(values: Any, at: int, value: float) -> Any:
    copy = values.copy()
    copy[at] = value
    return copy


def test_a_renderer_that_is_wrong_is_noticed(students: Callable[..., Any]) -> None:
    """The gate decodes what is trained; it does not take the renderer's word."""
    student, asked = students("qwen3"), trace("It is 5.", "2+3")
    gate, row = rendered(student, asked)
    (reply,) = row.replies
    other = int(student.tokenizer.convert_tokens_to_ids("a"))
    cut = forged(row, row.ids[:-3], row.weights[:-3], (Reply(1, reply.start, reply.stop - 3),))
    spaced = [*row.ids[:-1], *student.tokenizer.encode(" the", add_special_tokens=False), row.ids[-1]]
    late = (Reply(1, reply.start + 1, reply.stop),)
    cases: list[tuple[Row | None, str]] = [
        (None, "A reply is not in its rows, or is in them twice."),
        (forged(row, replies=()), "A reply is not in its rows, or is in them twice."),
        (forged(row, replies=row.replies * 2), "A reply is not in its rows, or is in them twice."),
        (forged(row, weights=row.weights * 0), "Nothing is trained."),
        (forged(row, weights=changed(row.weights, 0, 1)), "Tokens of the prompt are trained."),
        (forged(row, weights=changed(row.weights, reply.start - 1, 1)), "Tokens of the prompt are trained."),
        (forged(row, replies=late), "Tokens of the prompt are trained."),
        (forged(row, weights=changed(row.weights, reply.start, 0)), "Tokens of the reply are not trained."),
        (forged(row, weights=changed(row.weights, reply.start + 4, 0)), "Tokens of the reply are not trained."),
        (forged(row, weights=changed(row.weights, reply.stop - 1, 0)), "The end token is missing."),
        (forged(row, changed(row.ids, -1, other)), "The end token is missing."),
        (cut, "The end token is missing."),
        (
            forged(
                row, spaced, [*row.weights, *[1] * (len(spaced) - len(row.ids))], (Reply(1, reply.start, len(spaced)),)
            ),
            "Its answer is not what would be trained on: 'It is 5. the' for 'It is 5.'.",
        ),
        (
            forged(row, changed(row.ids, reply.start + 2, other)),
            "Its reasoning is not what would be trained on: 'a+3' for '2+3'.",
        ),
    ]
    assert gate.problem(Rendered(asked, (row,))) is None
    for wrong, problem in cases:
        rows = () if wrong is None else (wrong,)
        assert gate.problem(Rendered(asked, rows)) == problem
    assert gate.problem(Rendered(asked, (row, row))) == "A reply is not in its rows, or is in them twice."


def test_thoughts_without_weight_are_untrained_and_nothing_else_is(students: Callable[..., Any]) -> None:
    student, asked = students("qwen3"), trace("It is 5.", "2+3")
    gate, row = rendered(student, asked, THOUGHTLESS)
    assert not row.trained[row.replies[0].start]
    assert gate.problem(Rendered(asked, (row,))) is None
    hole = forged(row, weights=changed(row.weights, -2, 0))
    assert gate.problem(Rendered(asked, (hole,))) == "Tokens of the reply are not trained."


def test_a_tokenizer_that_changes_texts_is_noticed(students: Callable[..., Any]) -> None:
    import copy

    from tokenizers import normalizers

    student = students("llama 3")
    lower = replace(student, tokenizer=copy.deepcopy(student.tokenizer))
    lower.tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()
    found = problem_of(lower, trace("It is Sixteen."))
    assert found == "Its answer is not what would be trained on: 'it is sixteen.' for 'It is Sixteen.'."
    lower.tokenizer.backend_tokenizer.normalizer = normalizers.NFC()
    assert problem_of(lower, trace("cafe\N{COMBINING ACUTE ACCENT}")) is None


def test_all_are_looked_at_and_the_first_few_are_named(students: Callable[..., Any]) -> None:
    student = students("qwen3")
    renderer = Renderer(student.tokenizer, "sft", student.end_ids)
    gate = Gate(student.tokenizer, "sft", renderer.end_ids, ALIKE)
    traces = [
        trace(
            "5" if number % 10 else "5 <think>",
            question=f"Number {number},\n\x1b[31m how many spiders are there in this old house?",
        )
        for number in range(1, 101)
    ]
    passed: list[Rendered] = []
    with pytest.raises(DataError) as refused:
        passed.extend(admitted(renderer.render_all(traces), gate, "traces.parquet"))
    first, *lines = refused.value.what.split("\n")
    assert first == "10 of 100 traces cannot be trained on as they are:"
    assert lines[0] == (
        '"Number 10, \N{SYMBOL FOR ESCAPE}[31m how many spiders are there in this old hou…" (traces.parquet, row 10): '
        "It has think tags besides those of one block."
    )
    assert len(lines) == 6
    assert lines[-1] == "And 5 more."
    assert "--mask" in refused.value.remedy
    assert len(passed) == 90


def test_training_stops_before_its_first_step(tiny_model: Path, tmp_path: Path) -> None:
    write_traces(tmp_path / "traces.parquet", [trace("5", "2+3"), trace("", "2+3"), trace("5 <think>")])
    settings = TrainSettings(student="tiny", epochs=1, threads=1)
    with pytest.raises(
        DataError, match=r"2 of 3 traces cannot be trained on .*\n.*row 2\): It has no answer\.\n.*row 3"
    ):
        train(tmp_path / "traces.parquet", tiny_model, tmp_path / "out", settings, Silent())
    assert not (tmp_path / "out" / "checkpoints").exists()
    assert not (tmp_path / "out" / "student").exists()
