"""docs/formats/check-json.md names every key of a check that does all that a check can do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from stillroom.ask.files import file_rows
from stillroom.base.records import Message, Question
from stillroom.check.run import check
from stillroom.check.settings import CheckSettings
from stillroom.store.schemas import REPLIES
from stillroom.store.tables import write_questions, write_table
from stillroom.testing import Answer, MisbehavingTeacher

PAGE = (Path(__file__).parents[2] / "docs" / "formats" / "check-json.md").read_text(encoding="utf-8")


def question(name: str, text: str, kind: Any, answer: str | None = None, **meta: Any) -> Question:
    messages = (Message(role="user", content=text),)
    return Question(id=name, messages=messages, kind=kind, answer=answer, source="own", meta=meta)


def test_every_key_is_named(tmp_path: Path) -> None:
    questions = [
        question("code", "Write a function that adds two numbers.", "code", tests="assert add(1, 2) == 3"),
        question("open", "What is a pear?", "none"),
        question("sum", "What is nine and nine?", "number", "18"),
    ]
    answers = {"code": "```python\ndef add(a, b): return a + b\n```", "open": "A fruit.", "sum": "18"}
    rows = []
    for name, answer in answers.items():
        row: dict[str, Any] = dict.fromkeys(REPLIES.names)
        row |= {"key": f"sha256:{name}", "question_id": name, "sample": 0, "teacher": "t", "status": "ok"}
        rows.append(row | {"reasoning_form": "none", "answer": answer, "block": "none", "completion_tokens": 9})
    write_questions(tmp_path / "questions.parquet", questions)
    write_table(tmp_path / "replies.parquet", REPLIES, rows)
    others = tmp_path / "others.jsonl"
    others.write_text(json.dumps({"prompt": "What is two and two?", "completion": "4"}) + "\n")
    with MisbehavingTeacher(lambda _: Answer('{"reason": "so", "verdict": "right"}'), models=["judge"]) as server:
        settings = CheckSettings.model_validate(
            {
                "judge": {"model": "judge", "base_url": server.base_url, "price": "none"},
                "pass_rate": [0, 1],
                "long_share": 0.5,
                "mix": [{"from": "file", "path": str(others), "weight": 1}],
            }
        )
        facts = check(tmp_path, settings, read_rows=file_rows)
    measured = facts["judge"]["measured"]["without_reference"]
    parts = [facts, facts["judge"], measured, measured["agreement"], facts["overlap"], facts["long_share"]]
    parts += [facts["mix"][0], facts["sources"]["own"], facts["sandbox"], facts["shares"], facts["judge"]["measured"]]
    named = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", PAGE))))
    assert {key for part in parts for key in part} - named == set()
