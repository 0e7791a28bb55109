"""A data set made through a real gateway, under a permit of its own: asked for, checked, and each row verified."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stillroom import pipeline
from stillroom.admin_api import AdminApi
from stillroom.base.errors import PermitOver
from stillroom.recipe import load_recipe
from stillroom.serve.accounts.admins import THE_MACHINE, create_admin
from stillroom.serve.accounts.events import changing
from stillroom.serve.accounts.keys import KeyHashes
from stillroom.serve.receipts import MOST_BYTES_IN_HEADER
from stillroom.store.tables import read_rows
from stillroom.testing import Answer, MisbehavingTeacher
from stillroom.text.plain_yaml import write_yaml

if TYPE_CHECKING:
    from tests.serve.gateway.conftest import RunningGateway, Start

QUESTIONS = 12


def answers(question: str) -> list[Answer]:
    """As many as one call asks for: so many that its receipt is too long for a header."""
    number = int(question.split()[0])
    return [Answer(f" It is {number}. ", f"way {way} to\n {number}") for way in range(14)]


def test_rows_from_the_gateway_verify(start_gateway: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with MisbehavingTeacher(answers, models=["m"]) as teacher:
        gateway = start_gateway(teacher.base_url.removesuffix("/v1"), workers=2)
        key = gateway.key()
        monkeypatch.setenv("KEY_OF_TESTS", key.key)
        api = administration(gateway)
        issued = [api.post("/v1/permits", new_permit(gateway, key.account, calls=QUESTIONS)) for _ in range(2)]
        for permit, stream in zip(issued, (False, True), strict=True):
            (tmp_path / "permit").write_text(permit["token"])
            made(write_recipe(tmp_path, gateway, stream), gateway, permit["id"])
        assert teacher.requests == 2 * QUESTIONS

        with pytest.raises(PermitOver, match="is spent"):
            pipeline.ask(write_recipe(tmp_path, gateway, stream=True, seed=1))
        assert teacher.requests == 2 * QUESTIONS

        api.post(f"/v1/permits/{issued[0]['id']}/revoke", {"reason": "It was a test."})
        until = time.monotonic() + 60
        while not (refused := verify("whole", gateway))["bad"]:
            assert time.monotonic() < until
        assert refused["reasons"] == {"permit_revoked": refused["rows"]}
        assert verify("stream", gateway)["bad"] == 0


def made(recipe: Path, gateway: RunningGateway, permit: str) -> None:
    """Ask and check, and verify what came of it."""
    name = load_recipe(recipe).name
    facts = pipeline.ask(recipe)
    pipeline.check(recipe)
    assert (facts["with_receipt"], facts["permits"]) == (QUESTIONS * 14, [permit])
    receipts = {row["receipt"] for row in read_rows(Path("runs") / name / "replies.parquet", ["receipt"])}
    assert len(receipts) == QUESTIONS
    assert min(map(len, receipts)) > MOST_BYTES_IN_HEADER  # without a stream, they were fetched
    verified = verify(name, gateway)
    assert verified["bad"] == 0, verified["first"]
    assert verified["rows"] == verified["read_more"] >= 2 * QUESTIONS
    (told,) = verified["permits"]
    assert told["used"] == {"rows": verified["rows"], "calls": QUESTIONS, "tokens": tokens(facts)}


def tokens(facts: dict[str, Any]) -> int:
    return int(facts["prompt_tokens"] + facts["completion_tokens"])


def verify(name: str, gateway: RunningGateway) -> dict[str, Any]:
    return pipeline.verify_receipts(Path("runs") / name / "dataset", f"{gateway.url}/.well-known/jwks.json")


def administration(gateway: RunningGateway) -> AdminApi:
    with changing(gateway.engine, "test") as change:
        hashes = KeyHashes(gateway.secrets, "sra")
        _, admin = create_admin(change, hashes, THE_MACHINE, name="Otto", role="operator", organisation=None)
    return AdminApi(gateway.admin_url, admin.text)


def new_permit(gateway: RunningGateway, account: str, **limits: int) -> dict[str, Any]:
    return {
        "organisation": gateway.organisations["Acme"],
        "accounts": [account],
        "models": ["m"],
        "purpose": "a test",
        "student": "small",
        "expires_at": int(time.time() + 3600) * 1_000_000,
        **limits,
    }


def write_recipe(folder: Path, gateway: RunningGateway, stream: bool, seed: int | None = None) -> Path:
    questions = [{"question": f"{number} is what?", "answer": str(number)} for number in range(QUESTIONS)]
    (folder / "questions.jsonl").write_text("".join(json.dumps(question) + "\n" for question in questions))
    teacher = {"model": "m", "base_url": f"{gateway.url}/v1", "api_key_env": "KEY_OF_TESTS", "price": "none"}
    value = {
        "name": "stream" if stream else "whole",
        "teacher": teacher | {"permit": "permit", "stream": stream},
        "questions": [{"from": "file", "path": "questions.jsonl", "kind": "number"}],
        "ask": {"samples": 14, "temperature": 1, "system": "Be brief.", "seed": seed},
    }
    path = folder / "recipe.yaml"
    path.write_text(write_yaml(value))
    return path
