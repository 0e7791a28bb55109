"""docs/permits.md: every claim is on it, its Python runs as it stands there, and its refusals are the gateway's."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from joserfc.errors import JoseError

from stillroom.base.permit import MAX_PERMIT_BYTES, PERMIT_HEADER, PERMIT_TYP, Permit
from stillroom.base.receipt import (
    MOST_TURNS,
    RECEIPT_HEADER,
    RECEIPT_TYP,
    Receipt,
    ReplyDigests,
    on_the_wire,
    reply_digests,
    salted_digest,
    text_digest,
)
from stillroom.base.signatures import MAX_TOKEN_BYTES
from stillroom.client.settings import Endpoint
from stillroom.serve.keyring import Keyring
from stillroom.serve.receipts import MOST_BYTES_IN_HEADER

PAGE = (Path(__file__).parents[1] / "docs" / "permits.md").read_text(encoding="utf-8")
(VERIFYING,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@dataclass(frozen=True)
class Said:
    reasoning: str | None
    answer: str
    tool_calls: Any = None


def claims_in(heading: str) -> list[str]:
    """The names in the first column of the table of a section."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return [name for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)]


def test_every_claim_is_told() -> None:
    assert claims_in("What a receipt says") == list(Receipt.model_fields)
    assert claims_in("What a permit says") == list(Permit.model_fields)
    assert "`reasoning`, `answer` and `tool_calls` |" in PAGE
    assert list(ReplyDigests.model_fields) == ["reasoning", "answer", "tool_calls"]


def test_numbers_and_names_are_the_codes() -> None:
    for words in (
        f"`typ` is `{RECEIPT_TYP}`",
        f"`typ` is `{PERMIT_TYP}`",
        f"At most {MAX_PERMIT_BYTES:,} characters",
        f"longer than {MAX_TOKEN_BYTES:,} characters",
        f"longer than {MOST_BYTES_IN_HEADER:,} characters",
        f"the last {MOST_TURNS} messages",
        f"`{PERMIT_HEADER}: PERMIT`",
        f"`{RECEIPT_HEADER}`",
        f"`{RECEIPT_HEADER}-id`",
    ):
        assert words in " ".join(PAGE.split()), words


def test_a_plain_jose_library_verifies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len([line for line in VERIFYING.splitlines() if line.strip()]) <= 13
    keyring, salt = Keyring.open(tmp_path), bytes(16)
    claims = {
        "user": text_digest(salt, "user", "What is 2 + 3?"),
        "prompt": salted_digest(salt, "prompt", b"[]"),
        "replies": [reply_digests(salt, Said("Two and three.", "5"))],
    }
    monkeypatch.chdir(tmp_path)
    Path("jwks.json").write_text(json.dumps({**keyring.jwks(), "revoked_permits": []}))
    wire = on_the_wire(keyring.active.sign(RECEIPT_TYP, claims), salt)

    def verify(text: str) -> None:
        Path("receipt.txt").write_text(text + "\n")
        exec(compile(VERIFYING, "docs/permits.md", "exec"), {})

    verify(wire)
    for place in (10, len(wire) // 2, wire.index("~") - 5, len(wire) - 3):
        with pytest.raises((AssertionError, JoseError)):
            verify(wire[:place] + ("A" if wire[place] != "A" else "B") + wire[place + 1 :])


def test_the_recipe_is_one() -> None:
    (recipe,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    teacher = yaml.safe_load(recipe)["teacher"]
    assert teacher["permit"] == "somewhere.permit"
    assert set(teacher) <= set(Endpoint.model_fields)


def test_refusals_are_the_gateways() -> None:
    source = "".join(
        (Path(__file__).parents[1] / "src/stillroom/serve" / name).read_text()
        for name in ("permits/desk.py", "gateway/admission.py")
    )
    section = PAGE.partition("## The student\n")[2].partition("\n## ")[0]
    told = set(re.findall(r"`(permits?_\w+)`", section))
    assert told == set(re.findall(r'"(permits?_(?!calls|tokens)\w+)"', source))
