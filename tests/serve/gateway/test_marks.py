"""Replies that are marked: with the account's own key, committed to beforehand, and by nothing that a client says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stillroom.base.signatures import PublicKeys
from stillroom.generate.generator import Generator
from stillroom.generate.load import load_model
from stillroom.generate.sampling import Sampling
from stillroom.generate.tokenizer_digest import tokenizer_digest
from stillroom.serve.keyring import Keyring
from stillroom.serve.mark_header import MARK_HEADER
from stillroom.serve.reply_text import PlainText
from stillroom.text.mark_commitments import (
    Marking,
    commitments_file,
    read_commitments,
    signature_problems,
)

if TYPE_CHECKING:
    from tests.serve.gateway.conftest import Start

ASKED = {"model": "m", "prompt": "the", "seed": 5, "temperature": 1, "max_tokens": 60}


class Local:
    """The same model in this process: what a reply has to be, with a mark and without."""

    def __init__(self, folder: Path) -> None:
        self._generator = Generator(load_model(folder), threads=1)
        self.tokenizer = tokenizer_digest(self._generator.local.tokenizer)

    def reply(self, marking: Marking | None, key: bytes = b"") -> str:
        local = self._generator.local
        prompt: list[int] = local.tokenizer.backend_tokenizer.encode("the").ids
        mark = marking.mark_with(key) if marking else None
        tokens = self._generator.submit(prompt, Sampling(60, seed="5 0", mark=mark)).result()
        hidden = frozenset(local.tokenizer.all_special_ids)
        text = PlainText(local.tokenizer.backend_tokenizer, hidden, [], prompt)
        text.feed(tokens)
        text.finish()
        return text.answer

    def close(self) -> None:
        self._generator.close()


def _models(folder: Path) -> list[dict[str, Any]]:
    return [
        {"name": "m", "folder": str(folder), "watermark": {"strength": 3.0, "share": 0.25}},
        {"name": "owned", "folder": str(folder), "watermark": {"strength": 3.0, "share": 0.25, "per": "owner"}},
        {"name": "plain", "folder": str(folder)},
    ]


def _text(body: bytes) -> str:
    return str(json.loads(body)["choices"][0]["text"])


@pytest.fixture(scope="module")
def local(tiny_model: Path) -> Iterator[Local]:
    local = Local(tiny_model)
    yield local
    local.close()


def test_each_account_has_its_mark_and_a_client_chooses_none(
    tiny_model: Path, start_gateway: Start, local: Local
) -> None:
    gateway = start_gateway(models=_models(tiny_model), escrow={"share": 1})
    one, other = gateway.key(), gateway.key(retention=True)
    path = commitments_file(gateway.state)

    # None goes out that is not committed to.
    path.parent.write_text("in the way")
    status, body, _ = gateway.post("/v1/completions", ASKED, one.key)
    assert (status, json.loads(body)["error"]["code"]) == (503, "log_full")
    path.parent.unlink()

    status, body, headers = gateway.post("/v1/completions", ASKED, one.key)
    assert status == 200
    assert MARK_HEADER not in headers
    markings = {key.account: Marking("m", key.account, 0.25, 3.0, local.tokenizer) for key in (one, other)}
    keys = {account: marking.mark(gateway.secrets).key for account, marking in markings.items()}
    assert _text(body) == local.reply(markings[one.account], keys[one.account])
    assert len(read_commitments(path)) == 1

    # Whatever a client says of marks, in headers or in the body, it is its own account's that it gets.
    stolen = {MARK_HEADER: keys[one.account].hex()}
    lies = {**ASKED, "watermark": None, "mark": keys[one.account].hex(), "user": one.account}
    _, body, _ = gateway.post("/v1/completions", lies, other.key, stolen)
    assert _text(body) == local.reply(markings[other.account], keys[other.account])
    assert _text(body) != local.reply(markings[one.account], keys[one.account])
    _, body, _ = gateway.post("/v1/completions", {**ASKED, "model": "plain"}, one.key, stolen)
    assert _text(body) == local.reply(None)

    # One key for all, where the owner says so.
    ours = Marking("owned", None, 0.25, 3.0, local.tokenizer)
    owned = [gateway.post("/v1/completions", {**ASKED, "model": "owned"}, key.key)[1] for key in (one, other)]
    assert {_text(body) for body in owned} == {local.reply(ours, ours.mark(gateway.secrets).key)}

    assert gateway.stop() == ""
    lines = read_commitments(path)
    markings["all"], keys["all"] = ours, ours.mark(gateway.secrets).key
    assert [line.record.commitment for line in lines] == [markings[whose].commitment(keys[whose]) for whose in keys]
    published = json.dumps(Keyring.open(gateway.state).jwks()).encode()
    assert signature_problems(lines, PublicKeys.from_jwks(published, "test")) == []
    calls = gateway.calls()
    assert [call["status"] for call in calls] == ["failed", *["ok"] * 5]
    # A second reply, which stays sealed, was asked for with the same mark: unmarked there would be none.
    assert [call["escrow_digest"] is not None for call in calls] == [call["account"] == other.account for call in calls]
    assert one.account not in path.read_text()
    said = path.read_text() + "".join(json.dumps(call, default=str) for call in gateway.calls())
    assert not any(key.hex() in said for key in keys.values())
