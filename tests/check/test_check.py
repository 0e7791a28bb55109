from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stillroom.base.errors import DataError, StoreError
from stillroom.base.records import Message, Question, Trace
from stillroom.check.overlap.settings import OverlapSettings
from stillroom.check.run import check
from stillroom.check.settings import CheckSettings
from stillroom.store.files import read_json
from stillroom.store.schemas import REPLIES
from stillroom.store.tables import read_rows, read_traces, write_questions, write_table


def question(name: str, answer: str | None = "18", kind: Any = "number", **rest: Any) -> Question:
    messages = rest.pop("messages", (Message(role="user", content=f"How many, {name}?"),))
    return Question(id=name, messages=messages, answer=answer, kind=kind, source="test", **rest)


def reply(question_id: str, sample: int = 0, answer: str | None = "18", **columns: Any) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(REPLIES.names)
    row |= {
        "key": f"sha256:{question_id}-{sample}",
        "question_id": question_id,
        "sample": sample,
        "teacher": "oracle",
        "status": "ok",
        "reasoning_form": "full",
        "reasoning": f"9 and 9, thought {sample}",
        "answer": answer,
        "block": "none",
        "completion_tokens": 10 + sample,
        "receipt": f"receipt {sample}",
    }
    return row | columns


EVERY_QUESTION = OverlapSettings(duplicates="keep", near_duplicates="keep")
"""The questions here differ in a word or less."""


class Checked:
    def __init__(self, folder: Path, questions: list[Question], replies: list[dict[str, Any]], **options: Any) -> None:
        write_questions(folder / "questions.parquet", questions)
        write_table(folder / "replies.parquet", REPLIES, replies)
        options.setdefault("overlap", EVERY_QUESTION)
        self.report = check(folder, CheckSettings(**options))
        self.traces: list[Trace] = list(read_traces(folder / "traces.parquet"))
        self.rejected = list(read_rows(folder / "rejected.parquet"))
        assert read_json(folder / "check.json") == self.report
        assert self.report["rows"] == len(replies) == len(self.traces) + len(self.rejected)
        assert self.report["kept"] == len(self.traces)
        assert self.report["rejected"] == dict(Counter(row["reason"] for row in self.rejected))

    def reasons(self) -> list[str]:
        return [row["reason"] for row in self.rejected]


@pytest.mark.parametrize(
    ("columns", "reason", "detail"),
    [
        ({"status": "failed", "error_kind": "http_500", "answer": ""}, "failed", "http_500"),
        ({"status": "refused", "error_kind": "content_filter"}, "refused", "content_filter"),
        ({"status": "empty", "error_kind": "no_answer", "answer": ""}, "empty", "no_answer"),
        ({"status": "truncated", "completion_tokens": 512}, "truncated", "cut at 512 tokens"),
        ({"reasoning_form": "summary"}, "summary_reasoning", "summary"),
        ({"block": "unclosed"}, "broken_think_block", "unclosed"),
        ({"block": "not_well_formed"}, "broken_think_block", "not well formed"),
        ({"answer": "</think> 18"}, "broken_think_block", "tag"),
        ({"reasoning": "so <think>"}, "broken_think_block", "tag"),
        ({"answer": "  "}, "empty_answer", "nothing follows"),
        ({"answer": None}, "empty_answer", "nothing follows"),
        ({"answer": "19"}, "wrong", "another number"),
        ({"answer": "18 or 19"}, "unsure", "joined"),
    ],
)
def test_each_reason(tmp_path: Path, columns: dict[str, Any], reason: str, detail: str) -> None:
    checked = Checked(tmp_path, [question("a", family="sums")], [reply("a"), reply("a", 1, **columns)])
    (row,) = checked.rejected
    assert row["reason"] == reason
    assert detail in row["detail"]
    assert (row["question_id"], row["sample"], row["reply_key"]) == ("a", 1, "sha256:a-1")
    assert (row["expected"], row["family"]) == ("18", "sums")
    family = checked.report["families"]["sums"]
    assert (family["rows"], family["kept"], family["rejected"]) == (2, 1, {reason: 1})


def test_a_trace_is_the_question_and_the_reply(tmp_path: Path) -> None:
    asked = question(
        "a",
        messages=(
            Message(role="system", content="Be brief."),
            Message(role="user", content="Hello?"),
            Message(role="assistant", content="Hello."),
            Message(role="user", content="9 and 9?"),
        ),
        licence="MIT",
    )
    (trace,) = Checked(tmp_path, [asked], [reply("a", answer="That makes 18.\n")]).traces
    assert [message.role for message in trace.messages] == ["system", "user", "assistant", "user", "assistant"]
    assert [message.train for message in trace.messages] == [False, False, False, False, True]
    assert [message.content for message in trace.messages[:-1]] == [message.content for message in asked.messages]
    assert (trace.messages[-1].reasoning, trace.messages[-1].content) == ("9 and 9, thought 0", "That makes 18.")
    assert (trace.verdict, trace.pass_rate, trace.tokens) == ("right", 1.0, 10)
    assert (trace.teacher, trace.reply_key, trace.receipt) == ("oracle", "sha256:a-0", "receipt 0")
    assert (trace.source, trace.licence) == ("test", "MIT")


def test_pass_rate_is_of_verified_samples(tmp_path: Path) -> None:
    replies = [
        reply("a", 0),
        reply("a", 1, "19"),
        reply("a", 2, "18 or 19"),
        reply("a", 3),
        reply("a", 4, status="truncated"),
    ]
    checked = Checked(tmp_path, [question("a")], replies)
    assert [trace.pass_rate for trace in checked.traces] == [0.5, 0.5]
    assert checked.report["verdicts"] == {"right": 2, "wrong": 1, "unsure": 1, "unverifiable": 0}


def test_a_teacher_that_does_not_reason_is_kept_unless_reasoning_is_required(tmp_path: Path) -> None:
    plain = reply("a", reasoning=None, reasoning_form="none")
    hidden = reply("b", reasoning=None, reasoning_form="hidden")
    questions = [question("a"), question("b")]
    kept = Checked(tmp_path, questions, [plain, hidden])
    assert [trace.messages[-1].reasoning for trace in kept.traces] == [None, None]
    checked = Checked(tmp_path, questions, [plain, hidden], require_reasoning=True)
    assert checked.report["rejected"] == {"no_reasoning": 2}
    assert "does not show" in checked.rejected[1]["detail"]


def test_summaries_are_kept_when_asked_for(tmp_path: Path) -> None:
    checked = Checked(tmp_path, [question("a")], [reply("a", reasoning_form="summary")], accept_summaries=True)
    assert len(checked.traces) == 1


def test_what_nothing_can_verify_is_kept_only_where_nothing_should(tmp_path: Path) -> None:
    questions = [question("a", None, "none"), question("b", None, "number"), question("c", "x", "code")]
    checked = Checked(tmp_path, questions, [reply("a"), reply("b"), reply("c")])
    assert [(trace.question_id, trace.verdict, trace.pass_rate) for trace in checked.traces] == [
        ("a", "unverifiable", None)
    ]
    assert checked.reasons() == ["unverifiable", "unverifiable"]


def test_the_same_text_twice_is_kept_once(tmp_path: Path) -> None:
    same = {"reasoning": "9 + 9"}
    questions = [question("a"), question("b")]
    replies = [
        reply("a", 0, **same),
        reply("a", 1, " 18\n", **same),
        reply("a", 2, reasoning="2 * 9"),
        reply("b", 0, **same),
    ]
    checked = Checked(tmp_path, questions, replies)
    assert checked.reasons() == ["duplicate"]
    assert checked.rejected[0]["detail"] == "the same text as sample 0"
    assert [trace.reply_key for trace in checked.traces] == ["sha256:a-0", "sha256:a-2", "sha256:b-0"]


def test_selection(tmp_path: Path) -> None:
    replies = [reply("a", sample, completion_tokens=tokens) for sample, tokens in enumerate([30, 10, 20])]
    kept = {
        options: [trace.tokens for trace in Checked(tmp_path, [question("a")], replies, **dict(options)).traces]
        for options in (
            (),
            (("per_question", 2),),
            (("keep", "shortest_right"),),
            (("keep", "shortest_right"), ("per_question", 2)),
        )
    }
    assert list(kept.values()) == [[30, 10, 20], [30, 10], [10], [10, 20]]
    uncounted = [
        reply("a", 0, reasoning="a long way round", completion_tokens=None),
        reply("a", 1, reasoning="short", completion_tokens=99),
    ]
    checked = Checked(tmp_path, [question("a")], uncounted, keep="shortest_right")
    assert checked.traces[0].messages[-1].reasoning == "short"
    assert checked.reasons() == ["not_selected"]


def test_traces_are_sorted_by_question_and_sample_whatever_came_first(tmp_path: Path) -> None:
    names = ["b", "a", "\u00e9", "c", "B"]
    replies = [reply(name, sample) for sample in (1, 0) for name in reversed(names)]
    checked = Checked(tmp_path, [question(name) for name in names], replies)
    keys = [trace.reply_key for trace in checked.traces]
    assert keys == [f"sha256:{name}-{sample}" for name in sorted(names) for sample in (0, 1)]


def test_questions_without_replies_and_no_replies_at_all(tmp_path: Path) -> None:
    assert len(Checked(tmp_path, [question("a"), question("b")], [reply("b")]).traces) == 1
    assert Checked(tmp_path, [question("a")], []).report["rows"] == 0


def test_a_reply_to_no_question_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="question b"):
        Checked(tmp_path, [question("a"), question("c")], [reply("a"), reply("b")])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["check.lock", "questions.parquet", "replies.parquet"]


def test_a_missing_table_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="replies"):
        check(tmp_path, CheckSettings())


def test_math_and_task_questions_are_judged_too(tmp_path: Path) -> None:
    entry = {"question": "9 + 9?", "answer": "18", "metadata": {}}
    questions = [
        question("m", "\\frac{36}{2}", "math"),
        question("t", None, "task", meta={"task": "leg_counting", "entry": entry}),
    ]
    checked = Checked(tmp_path, questions, [reply("m"), reply("m", 1, "$17$"), reply("t"), reply("t", 1, "17")])
    assert [trace.question_id for trace in checked.traces] == ["m", "t"]
    assert checked.reasons() == ["wrong", "wrong"]


def test_settings_refuse_what_they_do_not_know() -> None:
    with pytest.raises(ValidationError):
        CheckSettings.model_validate({"keep": "longest_right"})
    with pytest.raises(ValidationError):
        CheckSettings(per_question=0)


some_reply = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["ok", "ok", "ok", "truncated", "refused", "empty", "failed"]),
        "answer": st.sampled_from(["18", "18.", "19", "18 or 19", "", "  ", None, "no idea", "</think>18"]),
        "reasoning": st.sampled_from([None, "", "short", "somewhat longer", "<think>"]),
        "reasoning_form": st.sampled_from(["full", "summary", "hidden", "none"]),
        "block": st.sampled_from(["none", "well_formed", "unclosed", "not_well_formed"]),
        "completion_tokens": st.sampled_from([None, 1, 2, 3]),
    }
)
some_question = st.tuples(
    st.sampled_from(["number", "exact", "choice", "none", "code", "json"]),
    st.sampled_from(["18", None]),
    st.lists(some_reply, max_size=4),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(some_question, max_size=6),
    st.fixed_dictionaries(
        {
            "keep": st.sampled_from(["all_right", "shortest_right"]),
            "per_question": st.sampled_from([None, 1, 2]),
            "require_reasoning": st.booleans(),
            "accept_summaries": st.booleans(),
        }
    ),
)
def test_every_row_is_kept_or_rejected_with_a_reason(
    asked: list[tuple[Any, str | None, list[dict[str, Any]]]], options: dict[str, Any]
) -> None:
    questions = [question(f"q{index}", answer, kind) for index, (kind, answer, _) in enumerate(asked)]
    replies = [
        reply(f"q{index}", sample, **columns)
        for index, (_, _, rows) in enumerate(asked)
        for sample, columns in enumerate(rows)
    ]
    with tempfile.TemporaryDirectory() as folder:
        checked = Checked(Path(folder), questions, replies, **options)
    there = Counter([trace.reply_key for trace in checked.traces] + [row["reply_key"] for row in checked.rejected])
    assert there == Counter(row["key"] for row in replies)
    kinds = {one.id: one.kind for one in questions}
    for trace in checked.traces:
        assert trace.verdict == "right" or kinds[trace.question_id] == "none"
        assert trace.messages[-1].content.strip()
    per_question = Counter(trace.question_id for trace in checked.traces)
    limit = options["per_question"] or (1 if options["keep"] == "shortest_right" else 4)
    assert all(count <= limit for count in per_question.values())
