"""The examination against a real server on loopback, through the real engine and journal."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from stillroom.base.errors import DataError, NoSuchModel
from stillroom.base.progress import Silent
from stillroom.base.records import Message, Question, Trace
from stillroom.client.settings import Endpoint, Price
from stillroom.exam.run import exam
from stillroom.exam.settings import ExamSettings
from stillroom.store.files import read_json
from stillroom.store.tables import read_rows, write_questions, write_traces

Answer = Callable[[int], dict[str, Any]]


def said(answer: str, finish_reason: str = "stop", reasoning: str | None = None, tokens: int = 10) -> dict[str, Any]:
    message = {"role": "assistant", "content": answer, "reasoning_content": reasoning}
    return {
        "model": "served",
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 100, "completion_tokens": tokens, "total_tokens": 100 + tokens},
    }


class Models:
    """An OpenAI-compatible server whose models are functions of the number in the question."""

    def __init__(self) -> None:
        self.models: dict[str, Answer] = {}
        self.calls: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        models = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, reply = models.answer(body)
                data = json.dumps(reply).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def answer(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.calls[body["model"]] += 1
        self.bodies.append(body)
        if body["model"] not in self.models:
            return 404, {"error": {"message": "no such model"}}
        reply = self.models[body["model"]](int(body["messages"][-1]["content"].split()[0]))
        return reply.pop("http_status", 200), reply

    def endpoint(self, model: str, **options: Any) -> Endpoint:
        base_url = f"http://127.0.0.1:{self.server.server_port}/v1"
        return Endpoint(**{"model": model, "base_url": base_url, "price": "none"} | options)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def models() -> Iterator[Models]:
    models = Models()
    yield models
    models.close()


def questions(numbers: range, **rest: Any) -> list[Question]:
    return [
        Question(
            id=f"q{n:03}",
            messages=(Message(role="system", content="Be brief."), Message(role="user", content=f"{n} and one?")),
            answer=str(n + 1),
            kind="number",
            family="even" if n % 2 == 0 else "odd",
            source="test",
            **rest,
        )
        for n in numbers
    ]


def sit(folder: Path, takers: dict[str, Endpoint], numbers: range = range(20), **options: Any) -> dict[str, Any]:
    write_questions(folder / "exam" / "questions.parquet", questions(numbers))
    return exam(folder, takers, ExamSettings(**options))


def test_figures_of_takers_and_of_pairs(models: Models, tmp_path: Path) -> None:
    models.models = {
        "big": lambda n: said(f"The answer is {n + 1}.", reasoning=f"{n} + 1 = {n + 1}", tokens=20 + n),
        "small": lambda n: said(str(n + 1) if n % 2 == 0 else "about 7 or 8"),
    }
    takers = {"teacher": models.endpoint("big"), "student": models.endpoint("small")}
    report = sit(tmp_path, takers)

    teacher, student = report["takers"]["teacher"], report["takers"]["student"]
    assert (teacher["accuracy"], teacher["n"], teacher["right"], teacher["model"]) == (1.0, 20, 20, "big")
    assert (student["accuracy"], student["right"], student["wrong"], student["unsure"]) == (0.5, 10, 0, 10)
    assert 0.29 < student["low"] < 0.31
    assert 0.69 < student["high"] < 0.71
    assert student["families"]["even"]["accuracy"] == 1.0
    assert student["families"]["odd"] == {"accuracy": 0.0, "low": 0.0, "high": pytest.approx(0.2775, abs=1e-4), "n": 10}
    assert (teacher["completion_tokens_mean"], teacher["completion_tokens_median"]) == (29.5, 29.5)
    assert teacher["cost_usd_per_1000"] is None
    assert (report["n"], report["families"]) == (20, ["even", "odd"])

    (comparison,) = report["comparisons"]
    assert (comparison["a"], comparison["b"], comparison["difference"]) == ("student", "teacher", -0.5)
    assert (comparison["only_a"], comparison["only_b"], comparison["both_right"], comparison["both_wrong"]) == (
        0,
        10,
        10,
        0,
    )
    assert comparison["low"] < -0.5 < comparison["high"] < 0
    assert comparison["p_value"] == pytest.approx(2 / 2**10)
    assert read_json(tmp_path / "exam.json") == report

    rows = list(read_rows(tmp_path / "exam" / "answers.parquet"))
    assert len(rows) == 40
    assert rows[3].pop("latency_us") > 0
    assert rows[3] == {
        "taker": "teacher",
        "set": None,
        "question_id": "q003",
        "sample": 0,
        "family": "odd",
        "question": "3 and one?",
        "expected": "4",
        "reasoning": "3 + 1 = 4",
        "answer": "The answer is 4.",
        "verdict": "right",
        "reason": "the same number",
        "extracted": "4",
        "cut_verdict": None,
        "status": "ok",
        "completion_tokens": 23,
        "cost_usd": None,
    }
    body = models.bodies[0]
    assert (body["temperature"], body["max_tokens"]) == (0, 512)


def test_four_takers_give_six_pairs_with_the_student_first(models: Models, tmp_path: Path) -> None:
    names = ["teacher", "base", "answers_only", "student"]
    models.models = {name: lambda n: said(str(n + 1)) for name in names}
    report = sit(tmp_path, {name: models.endpoint(name) for name in names}, range(4))
    assert [(pair["a"], pair["b"]) for pair in report["comparisons"]] == [
        ("student", "teacher"),
        ("student", "answers_only"),
        ("student", "base"),
        ("teacher", "answers_only"),
        ("teacher", "base"),
        ("answers_only", "base"),
    ]
    assert all(pair["p_value"] == 1.0 for pair in report["comparisons"])


def test_what_is_cut_refused_or_empty_is_not_right(models: Models, tmp_path: Path) -> None:
    replies = [said("1"), said("2", "length", tokens=512), said("3", "content_filter"), said("")]
    models.models = {"small": lambda n: dict(replies[n])}
    report = sit(tmp_path, {"student": models.endpoint("small")}, range(4))
    student = report["takers"]["student"]
    assert (student["right"], student["wrong"], student["unsure"], student["failed"]) == (1, 3, 0, 0)
    assert student["truncated_share"] == 0.25
    rows = list(read_rows(tmp_path / "exam" / "answers.parquet"))
    assert [row["status"] for row in rows] == ["ok", "truncated", "refused", "empty"]
    assert [row["verdict"] for row in rows] == ["right", "wrong", "wrong", "wrong"]
    assert "512 tokens" in rows[1]["reason"]


def test_a_larger_limit_asks_only_for_what_was_cut_again(models: Models, tmp_path: Path) -> None:
    models.models = {"small": lambda n: said("2", "length", tokens=512) if n == 1 else said(str(n + 1))}
    takers = {"student": models.endpoint("small")}
    report = sit(tmp_path, takers, range(4))
    assert (report["max_tokens"], report["takers"]["student"]["truncated_share"]) == (512, 0.25)
    assert models.calls["small"] == 4
    models.models = {"small": lambda n: said(str(n + 1), tokens=700)}
    report = sit(tmp_path, takers, range(4), max_tokens=1024)
    assert (report["max_tokens"], report["takers"]["student"]["truncated_share"]) == (1024, 0.0)
    assert models.calls["small"] == 5


def test_a_failed_call_is_not_right_and_is_asked_again_next_time(models: Models, tmp_path: Path) -> None:
    broken = {"http_status": 500, "error": {"message": "something is odd about this one"}}
    models.models = {"small": lambda n: dict(broken) if n == 3 else said(str(n + 1))}
    takers = {"student": models.endpoint("small")}
    student = sit(tmp_path, takers, retries=0)["takers"]["student"]
    assert (student["failed"], student["unsure"], student["accuracy"]) == (1, 1, 0.95)
    assert student["completion_tokens_mean"] == 10
    models.models = {"small": lambda n: said(str(n + 1))}
    before = models.calls["small"]
    student = sit(tmp_path, takers, retries=0)["takers"]["student"]
    assert (student["failed"], student["accuracy"]) == (0, 1.0)
    assert models.calls["small"] == before + 1


def test_an_examination_goes_on_where_it_stopped(models: Models, tmp_path: Path) -> None:
    models.models = {"big": lambda n: said(str(n + 1))}
    takers = {"teacher": models.endpoint("big"), "base": models.endpoint("small")}
    with pytest.raises(NoSuchModel):
        sit(tmp_path, takers)
    assert not (tmp_path / "exam.json").exists()
    models.models["small"] = lambda _: said("0")
    report = sit(tmp_path, takers)
    assert models.calls["big"] == 20
    assert report["takers"]["base"]["accuracy"] == 0.0
    assert sit(tmp_path, takers) | {"seconds": 0} == report | {"seconds": 0}
    assert models.calls["big"] == 20


def test_cost_per_thousand_questions(models: Models, tmp_path: Path) -> None:
    models.models = {"big": lambda n: said(str(n + 1), tokens=50)}
    price = Price(input_per_million="0.5", output_per_million="2")  # type: ignore[arg-type]
    report = sit(tmp_path, {"teacher": models.endpoint("big", price=price)})
    assert report["takers"]["teacher"]["cost_usd_per_1000"] == "0.15"  # 1000 * (100 * 0.5 + 50 * 2) / 1e6


def test_cost_is_unknown_where_a_part_of_it_is(models: Models, tmp_path: Path) -> None:
    models.models = {"big": lambda n: said(str(n + 1)) | ({"usage": None} if n == 5 else {})}
    price = Price(input_per_million="0.5", output_per_million="2")  # type: ignore[arg-type]
    teacher = sit(tmp_path, {"teacher": models.endpoint("big", price=price)})["takers"]["teacher"]
    assert teacher["cost_usd_per_1000"] is None
    assert teacher["completion_tokens_mean"] == 10


def test_questions_with_the_same_messages_share_a_reply(models: Models, tmp_path: Path) -> None:
    models.models = {"big": lambda n: said(str(n + 1))}
    (one,) = questions(range(1))
    write_questions(tmp_path / "exam" / "questions.parquet", [one, one.model_copy(update={"id": "again"})])
    report = exam(tmp_path, {"teacher": models.endpoint("big")}, ExamSettings())
    assert report["takers"]["teacher"]["right"] == 2
    assert models.calls["big"] == 1


def test_progress_counts_over_all_takers(models: Models, tmp_path: Path) -> None:
    class Watched(Silent):
        def __init__(self) -> None:
            self.seen: list[tuple[str, int, int | None, object]] = []

        def update(self, stage: str, done: int, total: int | None, **facts: object) -> None:
            self.seen.append((stage, done, total, facts["taker"]))

    models.models = {"big": lambda n: said(str(n + 1)), "small": lambda _: said("0")}
    takers = {"teacher": models.endpoint("big"), "base": models.endpoint("small")}
    write_questions(tmp_path / "exam" / "questions.parquet", questions(range(3)))
    watched = Watched()
    exam(tmp_path, takers, ExamSettings(), watched)
    assert watched.seen[-1] == ("exam", 6, 6, "base")
    assert ("exam", 3, 6, "teacher") in watched.seen


def trace_of(question: Question) -> Trace:
    """As the check writes it: the prompt, which is not trained on, and a reply."""
    prompt = [message.model_copy(update={"train": False}) for message in question.messages]
    return Trace(
        question_id=f"train-{question.id}",
        messages=(*prompt, Message(role="assistant", content="That is it.", train=True)),
        verdict="right",
        teacher="big",
        source="test",
    )


def test_what_was_trained_on_is_not_examined(models: Models, tmp_path: Path) -> None:
    models.models = {"small": lambda n: said(str(n + 1))}
    write_traces(tmp_path / "traces.parquet", [trace_of(question) for question in questions(range(19, 40))])
    named = r'"19 and one\?" \(id q019\) is also among those that the student learned from \(test, id train-q019\)\.'
    with pytest.raises(DataError, match=named):
        sit(tmp_path, {"student": models.endpoint("small")})
    assert models.calls == {}
    # Nobody of these learned from them.
    assert sit(tmp_path, {"base": models.endpoint("small")})["takers"]["base"]["n"] == 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "none"}, "kind none"),
        ({"kind": "code"}, "kind code"),
        ({"answer": None}, "no answer that can be verified"),
    ],
)
def test_questions_that_nothing_can_judge_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    unfit = [question.model_copy(update=change) for question in questions(range(1))]
    write_questions(tmp_path / "exam" / "questions.parquet", unfit)
    with pytest.raises(DataError, match=message):
        exam(tmp_path, {}, ExamSettings())


def test_an_empty_paper_and_a_double_id_are_refused(tmp_path: Path) -> None:
    write_questions(tmp_path / "exam" / "questions.parquet", [])
    with pytest.raises(DataError, match="no questions"):
        exam(tmp_path, {}, ExamSettings())
    write_questions(tmp_path / "exam" / "questions.parquet", questions(range(1)) * 2)
    with pytest.raises(DataError, match=r"\(id q000\) twice"):
        exam(tmp_path, {}, ExamSettings())


def test_settings() -> None:
    assert ExamSettings().compare == ("teacher", "base", "answers_only", "student")
    with pytest.raises(ValidationError):
        ExamSettings(compare=("teacher", "teacher"))
    with pytest.raises(ValidationError):
        ExamSettings.model_validate({"compare": ["nobody"]})
