"""From a recipe with a permit to a data set whose every row is vouched for, over real HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stillroom import pipeline
from stillroom.base.errors import PermitOver, PermitRefused, RecipeError
from stillroom.store.files import read_json
from stillroom.store.tables import read_rows
from stillroom.testing import Answer, MisbehavingTeacher, Owner
from stillroom.testing.faults import http_error
from stillroom.text.plain_yaml import write_yaml

QUESTIONS = [
    {"id": f"q{number}", "question": f"What is {number} + {number}?", "answer": str(2 * number)} for number in range(9)
]
BY_TEXT = {str(row["question"]): str(row["answer"]) for row in QUESTIONS}


def answer(question: str) -> list[Answer]:
    """Four ways to put it: with white space around, tags in it, and no reasoning."""
    right = BY_TEXT[question]
    return [
        Answer(f"  {right}\n", f"\n half of {right} twice \n"),
        Answer(f"<think>\nwell, {right}\n</think>\n\n{right}"),
        Answer(right),
        Answer(f"{right} ", f"a </think> in it, and {right}"),
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in QUESTIONS))
    return tmp_path


def recipe(folder: Path, teacher: MisbehavingTeacher, permit: str | None = None, **ask: Any) -> Path:
    of_teacher: dict[str, Any] = {"model": "teacher", "base_url": teacher.base_url, "price": "none", "terms": "own"}
    if permit is not None:
        (folder / "permit.jws").write_text(permit + "\n")
        of_teacher["permit"] = "permit.jws"
    of_teacher["stream"] = bool(ask.pop("stream", False))
    path = folder / "recipe.yaml"
    value = {
        "name": "sums",
        "teacher": of_teacher,
        "questions": [{"from": "file", "path": "questions.jsonl", "kind": "number"}],
        "ask": ask,
    }
    path.write_text(write_yaml(value))
    return path


def keys_of(teacher: MisbehavingTeacher) -> str:
    return teacher.base_url.removesuffix("/v1") + "/.well-known/jwks.json"


@pytest.mark.parametrize("stream", [False, True])
def test_rows_made_under_a_permit_verify(folder: Path, stream: bool) -> None:
    owner = Owner("the owner")
    permit = owner.permit(conditions=["name it so"], organisation="<script>alert(1)</script>")
    with MisbehavingTeacher(answer, owner=owner) as teacher:
        path = recipe(folder, teacher, permit, samples=4, temperature=1, system="Be brief.", stream=stream)
        facts = pipeline.ask(path)
        pipeline.check(path)
        assert teacher.requests == 9  # four choices each
        assert {headers["x-stillroom-permit"] for headers in teacher.headers} == {permit}
        verified = pipeline.verify_receipts(folder / "runs/sums/dataset", keys_of(teacher))
    assert (facts["with_receipt"], facts["permits"]) == (36, [verified["permits"][0]["jti"]])
    replies = list(read_rows(folder / "runs/sums/replies.parquet", ["question_id", "receipt"]))
    assert len({row["receipt"] for row in replies}) == 9  # a receipt for each call
    rows = len(list(read_rows(folder / "runs/sums/traces.parquet")))
    assert rows >= 27
    assert (verified["rows"], verified["bad"], verified["reasons"], verified["read_more"]) == (rows, 0, {}, rows)
    assert verified["permits"][0]["used"]["calls"] == 9
    assert verified["notes"] == []  # grant.json and the card are a data set's own files
    card = (folder / "runs/sums/dataset/README.md").read_text()
    assert "- on the condition: `name it so`" in card
    assert "has signed for `<script>alert(1)</script>`:" in card
    assert f"{rows} of the {rows} rows carry a receipt" in card
    manifest = read_json(folder / "runs/sums/dataset/manifest.json")
    assert manifest["permits"][0]["jws"] == permit
    assert manifest["permits"][0]["claims"]["student"] == "student"
    assert permit not in (folder / "runs/sums/recipe.yaml").read_text()


def test_the_same_rows_without_a_permit_are_refused(folder: Path) -> None:
    with MisbehavingTeacher(answer, owner=Owner()) as teacher:
        path = recipe(folder, teacher)
        pipeline.ask(path)
        pipeline.check(path)
        verified = pipeline.verify_receipts(folder / "runs/sums/dataset", keys_of(teacher))
    assert verified["reasons"] == {"no_permit": verified["rows"]}
    assert verified["rows"] == 9


def test_another_permit_is_no_other_reply(folder: Path) -> None:
    owner = Owner()
    with MisbehavingTeacher(answer, owner=owner) as teacher:
        pipeline.ask(recipe(folder, teacher, owner.permit(jti="first")))
        facts = pipeline.ask(recipe(folder, teacher, owner.permit(jti="second"), samples=2))
        assert teacher.requests == 18  # nothing twice
        assert facts["permits"] == ["first", "second"]
        path = recipe(folder, teacher, owner.permit(jti="second"), samples=2)
        pipeline.check(path)
        verified = pipeline.verify_receipts(folder / "runs/sums/dataset", keys_of(teacher))
    assert verified["bad"] == 0
    assert {permit["jti"]: permit["used"]["calls"] for permit in verified["permits"]} == {"first": 9, "second": 9}


def test_a_run_whose_permit_is_spent_goes_on_under_another(folder: Path) -> None:
    owner = Owner()
    with MisbehavingTeacher(answer, owner=owner) as teacher:
        with pytest.raises(PermitOver, match="is spent") as stop:
            pipeline.ask(recipe(folder, teacher, owner.permit(jti="first", calls=4), concurrency=1))
        assert stop.value.exit_code == 3
        assert teacher.requests == 5
        facts = pipeline.ask(recipe(folder, teacher, owner.permit(jti="second")))
        assert facts["by_status"] == {"ok": 9}
        pipeline.check(folder / "recipe.yaml")
        assert pipeline.verify_receipts(folder / "runs/sums/dataset", keys_of(teacher))["bad"] == 0


@pytest.mark.parametrize(
    ("code", "kind", "exit_code", "words"),
    [
        ("permit_expired", PermitOver, 3, "has expired"),
        ("permit_revoked", PermitOver, 3, "has been revoked"),
        ("permit_not_begun", PermitOver, 3, "has not begun"),
        ("permit_not_yours", PermitRefused, 1, "account of this key"),
        ("permit_model", PermitRefused, 1, "this model"),
        ("permit_something_new", PermitRefused, 1, "is not taken"),
    ],
)
def test_a_refused_permit_ends_the_run_at_once(
    folder: Path, code: str, kind: type[PermitRefused], exit_code: int, words: str
) -> None:
    with MisbehavingTeacher(answer, always=http_error(403, "no, for a reason", code=code)) as teacher:
        with pytest.raises(kind, match=words) as stop:
            pipeline.ask(recipe(folder, teacher, Owner().permit()))
        assert teacher.requests == 1
    assert stop.value.exit_code == exit_code
    assert "no, for a reason" in stop.value.what
    assert "permit.jws" in stop.value.what


@pytest.mark.parametrize(
    ("permit", "kind", "words"),
    [
        ("no permit at all", RecipeError, "is not a permit"),
        (Owner().permit(["another"]), RecipeError, "is for another, not for teacher"),
        (Owner().permit(nbf=1, exp=2), PermitOver, "expired on 1970-01-01 00:00 UTC"),
        (Owner().permit(nbf=4_000_000_000, exp=4_000_000_001), PermitOver, "begins on 2096-10-02"),
        ("ü" * 9000, RecipeError, "is not a permit"),
    ],
)
def test_a_permit_that_cannot_hold_is_refused_before_the_first_call(
    folder: Path, permit: str, kind: type[Exception], words: str
) -> None:
    with MisbehavingTeacher(answer, owner=Owner()) as teacher:
        with pytest.raises(kind, match=words):
            pipeline.ask(recipe(folder, teacher, permit))
        assert teacher.requests == 0
    assert not (folder / "runs").exists()


def test_a_permit_that_is_not_there(folder: Path) -> None:
    with MisbehavingTeacher(answer) as teacher:
        path = recipe(folder, teacher, "")
        (folder / "permit.jws").unlink()
        with pytest.raises(RecipeError, match=r"permit\.jws cannot be read: No such file"):
            pipeline.ask(path)
        assert teacher.requests == 0
