from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from stillroom.ask.prompt import Example, PromptFile, TeacherPrompt, prompt_messages, with_prompt
from stillroom.ask.run import ask
from stillroom.ask.settings import AskSettings, TeacherSettings
from stillroom.base.errors import DataError
from stillroom.base.records import Message, Question
from stillroom.check.run import check
from stillroom.check.settings import CheckSettings
from stillroom.store.tables import read_traces, write_questions
from stillroom.testing import Answer, MisbehavingTeacher

ASKED = [{"role": "user", "content": "2 + 2?"}]


def test_the_system_prompt_then_the_examples_in_turns(tmp_path: Path) -> None:
    prompt = TeacherPrompt(
        system="Work step by step.",
        examples=(Example(question="1 + 1?", answer="2", reasoning="One and one."), Example(question="0?", answer="0")),
    )
    assert with_prompt(prompt_messages(prompt, tmp_path), ASKED) == [
        {"role": "system", "content": "Work step by step."},
        {"role": "user", "content": "1 + 1?"},
        {"role": "assistant", "content": "One and one.\n\n2"},
        {"role": "user", "content": "0?"},
        {"role": "assistant", "content": "0"},
        {"role": "user", "content": "2 + 2?"},
    ]


def test_without_a_prompt_a_question_is_sent_as_it_is(tmp_path: Path) -> None:
    assert prompt_messages(TeacherPrompt(), tmp_path) == ()
    own = [{"role": "system", "content": "Brief."}, *ASKED]
    assert with_prompt((), own) == own


def test_the_teachers_system_prompt_goes_before_the_questions_own() -> None:
    own = [{"role": "system", "content": "Brief."}, *ASKED]
    shown = [Message(role="user", content="0?"), Message(role="assistant", content="0")]
    assert with_prompt([Message(role="system", content="Slow."), *shown], own) == [
        {"role": "system", "content": "Slow.\n\nBrief."},
        {"role": "user", "content": "0?"},
        {"role": "assistant", "content": "0"},
        *ASKED,
    ]
    assert [message["role"] for message in with_prompt(shown, own)] == ["system", "user", "assistant", "user"]
    assert own == [{"role": "system", "content": "Brief."}, *ASKED]


def test_both_may_lie_in_files(tmp_path: Path) -> None:
    (tmp_path / "system.txt").write_text("Be brief,\nplease.\n")
    (tmp_path / "shown.jsonl").write_text('{"question": "0?", "answer": "0"}\n\n')
    prompt = TeacherPrompt.model_validate({"system": {"path": "system.txt"}, "examples": {"path": "shown.jsonl"}})
    messages = prompt_messages(prompt, tmp_path)
    assert [message.content for message in messages] == ["Be brief,\nplease.", "0?", "0"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b'{"question": "a"}', r"shown\.jsonl line 1: answer: is missing"),
        (b'{"question": "a", "answer": " "}', r"line 1: answer: .*an example needs a question and an answer"),
        (b'{"question": "a", "answer": "b", "why": "c"}', r"line 1: why"),
        (b"question", r"line 1 is not JSON"),
        (b"", r"shown\.jsonl holds no examples"),
        (b"\xff", r"line 1 is not UTF-8"),
    ],
)
def test_a_file_that_is_no_list_of_examples(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "shown.jsonl").write_bytes(content)
    with pytest.raises(DataError, match=what):
        prompt_messages(TeacherPrompt(examples=PromptFile(path="shown.jsonl")), tmp_path)


def test_a_system_prompt_that_is_not_there(tmp_path: Path) -> None:
    prompt = TeacherPrompt(system=PromptFile(path="system.txt"))
    with pytest.raises(DataError, match=r"There is no file .*system\.txt"):
        prompt_messages(prompt, tmp_path)
    (tmp_path / "system.txt").write_text(" \n")
    with pytest.raises(DataError, match=r"system\.txt is empty"):
        prompt_messages(prompt, tmp_path)
    with pytest.raises(ValidationError):
        TeacherPrompt.model_validate({"examples": [{"question": "a"}]})


def test_the_teacher_reads_the_prompt_and_the_student_never_does(tmp_path: Path) -> None:
    own = (Message(role="system", content="Brief."), Message(role="user", content="2 + 2?"))
    plain = (Message(role="user", content="3 + 3?"),)
    write_questions(
        tmp_path / "questions.parquet",
        [
            Question(id="own", messages=own, answer="4", kind="number", source="test"),
            Question(id="plain", messages=plain, answer="6", kind="number", source="test"),
        ],
    )
    settings = AskSettings(system="Work step by step.", examples=(Example(question="0?", answer="0"),))

    def right(question: str) -> Answer:
        return Answer(str(2 * int(question[0])), f"I doubled {question[0]}.")

    with MisbehavingTeacher(answer=right) as teacher:
        ask(tmp_path, TeacherSettings(model="teacher", base_url=teacher.base_url, price="none", terms="own"), settings)
        sent = {body["messages"][-1]["content"]: body["messages"] for body in teacher.bodies}
    shown = [{"role": "user", "content": "0?"}, {"role": "assistant", "content": "0"}]
    assert sent["2 + 2?"][0] == {"role": "system", "content": "Work step by step.\n\nBrief."}
    assert sent["3 + 3?"][0] == {"role": "system", "content": "Work step by step."}
    assert all(messages[1:3] == shown for messages in sent.values())
    check(tmp_path, CheckSettings())
    traces = {trace.question_id: trace.messages for trace in read_traces(tmp_path / "traces.parquet")}
    assert {name: [(m.role, m.content) for m in messages] for name, messages in traces.items()} == {
        "own": [("system", "Brief."), ("user", "2 + 2?"), ("assistant", "4")],
        "plain": [("user", "3 + 3?"), ("assistant", "6")],
    }
