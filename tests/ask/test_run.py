from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from stillroom.ask.run import ask, read_again
from stillroom.ask.settings import AskSettings, TeacherSettings
from stillroom.base.errors import KeyRefused, StoreError
from stillroom.base.records import Message, Question, Reply
from stillroom.store.files import read_json
from stillroom.store.tables import query, read_rows, write_questions
from stillroom.testing import Answer, MisbehavingTeacher
from stillroom.testing.faults import http_error, rate_limited, reset


def write(folder: Path, texts: Sequence[str]) -> None:
    questions = [
        Question(id=f"q{number}", messages=(Message(role="user", content=text),), source="test")
        for number, text in enumerate(texts)
    ]
    write_questions(folder / "questions.parquet", questions)


def run(folder: Path, teacher: MisbehavingTeacher, **settings: Any) -> dict[str, Any]:
    price = settings.pop("price", "none")
    teacher_settings = TeacherSettings(model="teacher", base_url=teacher.base_url, price=price, terms="own")
    return ask(folder, teacher_settings, AskSettings(**settings))


class Heard:
    def __init__(self) -> None:
        self.updates: list[tuple[str, int, int | None, dict[str, object]]] = []

    def say(self, sentence: str) -> None:
        pass

    def update(self, stage: str, done: int, total: int | None, **facts: object) -> None:
        self.updates.append((stage, done, total, facts))


def test_replies_come_in_the_order_of_questions_and_samples(tmp_path: Path) -> None:
    write(tmp_path, [f"Question {number}?" for number in range(40)])
    with MisbehavingTeacher(delay_s=(0, 0.01)) as teacher:
        facts = run(tmp_path, teacher, samples=2, temperature=1)
        assert teacher.requests == 40  # both samples in one call
    rows = list(read_rows(tmp_path / "replies.parquet"))
    assert [(row["question_id"], row["sample"]) for row in rows] == [(f"q{n}", s) for n in range(40) for s in (0, 1)]
    assert "raw" not in rows[0]
    assert rows[0]["answer"].startswith("The answer is")
    assert rows[0]["reasoning"].startswith("I looked at 'Question 0?'")
    assert rows[0]["block"] == "none"
    assert facts == read_json(tmp_path / "ask.json")


def test_facts_add_up(tmp_path: Path) -> None:
    write(tmp_path, ["a?", "b?", "a?", "c?", "d?"])
    faults = {"b?": [rate_limited("0"), reset()], "c?": [http_error(400)]}
    price = {"input_per_million": 10, "output_per_million": 100}
    with MisbehavingTeacher(lambda _: Answer("4", "hm", completion_tokens=5), faults_by_question=faults) as teacher:
        facts = run(tmp_path, teacher, price=price)
        assert teacher.requests == 6
    assert facts.pop("seconds") > 0
    spent, unknown = Decimal(facts.pop("spent_usd")), Decimal(facts.pop("unknown_usd"))
    assert spent - unknown == Decimal("0.00153")
    assert unknown > 1024 * Decimal("0.0001")  # the reply that was lost could have been as long as the limit
    assert facts.pop("price_id").startswith("recipe:")
    assert facts == {
        "asked": 5,
        "samples": 1,
        "is_whole": True,
        "replies": 5,
        "shared": 1,
        "with_receipt": 0,
        "permits": [],
        "calls": 6,
        "unknown_calls": 1,
        "by_status": {"failed": 1, "ok": 4},
        "prompt_tokens": 3,
        "completion_tokens": 15,
        "reasoning_tokens": None,
        "cached_tokens": None,
        "cost_usd": "0.00153",
        "teacher": "teacher",
        "base_url": teacher.base_url,
        "served_models": ["teacher-served"],
    }
    rows = {row["question_id"]: row for row in read_rows(tmp_path / "replies.parquet")}
    assert rows["q0"]["key"] == rows["q2"]["key"]
    assert (rows["q3"]["status"], rows["q3"]["error_kind"], rows["q3"]["answer"]) == ("failed", "http_400", "")
    statuses = query("select status, count(*) as n from a group by 1 order by 1", a=tmp_path / "attempts.parquet")
    assert [tuple(row.values()) for row in statuses.to_pylist()] == [
        ("failed", 1),
        ("ok", 3),
        ("retry", 1),
        ("unknown", 1),
    ]


def test_free_is_null_and_not_zero(tmp_path: Path) -> None:
    write(tmp_path, ["a?"])
    with MisbehavingTeacher() as teacher:
        facts = run(tmp_path, teacher)
    assert (facts["cost_usd"], facts["price_id"]) == (None, None)


def test_a_second_run_asks_nothing_and_writes_the_same_rows(tmp_path: Path) -> None:
    write(tmp_path, [f"Question {number}?" for number in range(20)])
    with MisbehavingTeacher(delay_s=(0, 0.01)) as teacher:
        first = run(tmp_path, teacher)
        rows = list(read_rows(tmp_path / "replies.parquet"))
        second = run(tmp_path, teacher)
        assert teacher.requests == 20
    assert list(read_rows(tmp_path / "replies.parquet")) == rows
    assert {**first, "seconds": 0} == {**second, "seconds": 0}


def test_only_what_a_change_touches_is_asked_again(tmp_path: Path) -> None:
    write(tmp_path, ["a?", "b?"])
    with MisbehavingTeacher() as teacher:
        run(tmp_path, teacher)
        write(tmp_path, ["a?", "c?", "b?"])
        assert run(tmp_path, teacher)["replies"] == 3
        assert teacher.by_question == {"a?": 1, "b?": 1, "c?": 1}
        run(tmp_path, teacher, samples=2)
        assert teacher.requests == 6
        assert run(tmp_path, teacher, samples=2, temperature=0.1)["calls"] == 9


def test_a_run_that_is_stopped_goes_on(tmp_path: Path) -> None:
    write(tmp_path, [f"Question {number}?" for number in range(50)])
    with MisbehavingTeacher(faults=[None] * 10, always=http_error(401)) as teacher, pytest.raises(KeyRefused):
        run(tmp_path, teacher, concurrency=4)
    assert read_json(tmp_path / "ask.json")["is_whole"] is False
    assert [row["question_id"] for row in read_rows(tmp_path / "replies.parquet")] == [f"q{n}" for n in range(10)]
    with MisbehavingTeacher() as teacher:
        assert run(tmp_path, teacher)["by_status"] == {"ok": 50}
        assert teacher.requests == 40


def test_progress(tmp_path: Path) -> None:
    write(tmp_path, [f"Question {number}?" for number in range(7)])
    heard = Heard()
    with MisbehavingTeacher() as teacher:
        endpoint = TeacherSettings(model="teacher", base_url=teacher.base_url, price="none")
        ask(tmp_path, endpoint, AskSettings(samples=2), heard)
    assert {(stage, total) for stage, _, total, _ in heard.updates} == {("ask", 14)}
    done = [done for _, done, _, _ in heard.updates]
    assert (done, done[-1]) == (sorted(done), 14)
    assert heard.updates[-1][3]["calls"] == 7


def test_from_a_notebook(tmp_path: Path) -> None:
    write(tmp_path, ["a?"])

    async def cell() -> dict[str, Any]:
        return run(tmp_path, teacher)

    with MisbehavingTeacher() as teacher:
        assert asyncio.run(cell())["replies"] == 1


def test_questions_that_are_not_there(tmp_path: Path) -> None:
    with MisbehavingTeacher() as teacher, pytest.raises(StoreError, match=r"questions\.parquet does not exist"):
        run(tmp_path, teacher)


def test_the_text_can_be_derived_again_from_what_is_kept(tmp_path: Path) -> None:
    write(tmp_path, ["a?"])
    with MisbehavingTeacher() as teacher:
        run(tmp_path, teacher)
    before = (tmp_path / "replies.parquet").read_bytes()
    (tmp_path / "replies.parquet").unlink()
    with MisbehavingTeacher() as teacher:
        run(tmp_path, teacher)
        assert teacher.requests == 0
    assert (tmp_path / "replies.parquet").read_bytes() == before


def test_a_better_reader_derives_everything_again_at_no_cost(tmp_path: Path) -> None:
    write(tmp_path, ["a?", "b?"])
    with MisbehavingTeacher(lambda _: Answer("four", "two and two", completion_tokens=9)) as teacher:
        run(tmp_path, teacher)
        right = list(read_rows(tmp_path / "replies.parquet"))
        connection = sqlite3.connect(tmp_path / "ask.sqlite")
        with connection:  # as an older reader might have left it
            connection.execute(
                "update replies set status = 'empty', error_kind = 'no_text', reasoning_form = 'none',"
                " completion_tokens = null, served_model = null, finish_reason = null"
            )
            connection.execute("update facts set value = '0' where name = 'reader'")
        connection.close()
        run(tmp_path, teacher)
        assert teacher.requests == 2
    assert list(read_rows(tmp_path / "replies.parquet")) == right


def test_the_journal_is_the_only_place_of_the_raw_body(tmp_path: Path) -> None:
    write(tmp_path, ["a?"])
    with MisbehavingTeacher() as teacher:
        run(tmp_path, teacher)
    connection = sqlite3.connect(tmp_path / "ask.sqlite")
    (raw,) = connection.execute("select raw from replies").fetchone()
    connection.close()
    assert raw[:4] == b"\x28\xb5\x2f\xfd"  # zstd
    assert "raw" not in json.dumps(read_json(tmp_path / "ask.json"))


def test_a_receipt_in_the_body_is_found_again() -> None:
    stream = b'data: {"choices": [{"delta": {"content": "4"}, "finish_reason": "stop"}]}\n\n'
    stream += b": stillroom-receipt a.b.c~d\n\ndata: [DONE]\n\n"
    reply = Reply(
        key="k", question_id="q", sample=0, teacher="t", served_model=None, fingerprint=None, endpoint="e", asked_at=1,
        latency_us=1, status="ok", error_kind=None, reasoning_form="none", finish_reason="stop", prompt_tokens=None,
        cached_tokens=None, completion_tokens=None, reasoning_tokens=None, counted_by=None, cost_usd=None,
        price_id=None, receipt=None, max_tokens=9, http_status=200, choice=0, raw=stream,
    )  # fmt: skip
    assert read_again(reply).receipt == "a.b.c~d"
    assert read_again(replace(reply, receipt="e.f.g~h")).receipt == "e.f.g~h"  # as it came in a header
    assert read_again(replace(reply, raw=b"{}")).receipt is None
