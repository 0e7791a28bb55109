"""Questions about code and JSON through the whole stage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stillroom.base.records import Message, Question
from stillroom.check.run import check
from stillroom.check.settings import CheckSettings
from stillroom.store.schemas import REPLIES
from stillroom.store.tables import read_rows, write_questions, write_table
from stillroom.verify.sandbox import sandbox_protection


class Told:
    """What a person is told."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def update(self, stage: str, done: int, total: int | None, **facts: object) -> None:
        pass

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)


def question(name: str, text: str, kind: Any, **meta: Any) -> Question:
    messages = (Message(role="user", content=text),)
    return Question(id=name, messages=messages, kind=kind, source="own", meta=meta)


def checked(folder: Path, answers: list[tuple[Question, str]], told: Told) -> dict[str, Any]:
    rows = []
    for asked, answer in answers:
        row: dict[str, Any] = dict.fromkeys(REPLIES.names)
        row |= {"key": f"sha256:{asked.id}", "question_id": asked.id, "sample": 0, "teacher": "t", "status": "ok"}
        rows.append(row | {"reasoning_form": "none", "answer": answer, "block": "none", "completion_tokens": 9})
    write_questions(folder / "questions.parquet", [asked for asked, _ in answers])
    write_table(folder / "replies.parquet", REPLIES, rows)
    settings = CheckSettings.model_validate({"language": "off", "overlap": {"near_duplicates": "keep"}})
    return check(folder, settings, told)


def test_verdicts_and_what_keeps_the_code_in(tmp_path: Path) -> None:
    tests, schema = "assert add(2, 3) == 5", {"required": ["name"]}
    answers = [
        (
            question("a", "Write a function that adds.", "code", tests=tests),
            "```python\ndef add(a, b): return a + b\n```",
        ),
        (
            question("b", "Write add, for two numbers.", "code", tests=tests),
            "```python\ndef add(a, b): return a - b\n```",
        ),
        (question("c", "Who is it, as JSON?", "json", schema=schema), '{"name": "Ann"}'),
        (question("d", "Give the name of a dog in JSON.", "json", schema=schema), '{"nome": "Rex"}'),
    ]
    told = Told()
    report = checked(tmp_path, answers, told)
    assert {row["question_id"] for row in read_rows(tmp_path / "traces.parquet")} == {"a", "c"}
    details = {row["question_id"]: row["detail"] for row in read_rows(tmp_path / "rejected.parquet")}
    assert details == {"b": "a test fails at `assert add(2, 3) == 5`", "d": "$: 'name' is a required property"}
    protection = sandbox_protection()
    assert told.sentences.count(protection.sentence) == 1
    kept = json.loads((tmp_path / "check.json").read_text())["sandbox"]
    assert kept == {"means": list(protection.means), "sentence": protection.sentence}
    assert report["sandbox"]["sentence"] == protection.sentence


def test_without_code_nothing_is_said_of_a_sandbox(tmp_path: Path) -> None:
    told = Told()
    report = checked(tmp_path, [(question("c", "Who?", "json", schema={}), "{}")], told)
    assert "sandbox" not in report
    assert not any("code" in sentence.lower() for sentence in told.sentences)
