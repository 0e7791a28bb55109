"""What the gateway signs of a reply is what ask and check make of the same bytes, in every shape that was recorded."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import orjson
import pytest

from stillroom.base.permit import PERMIT_TYP
from stillroom.base.records import Call, Message
from stillroom.check.published import messages_form
from stillroom.check.receipts.owner import HeldPermit, read_owner
from stillroom.check.receipts.row import Judge, Vouched
from stillroom.client.reply import parse_replies
from stillroom.client.request import RequestSettings, sent_messages
from stillroom.client.settings import Endpoint, Sampling
from stillroom.serve.keyring import Keyring
from stillroom.serve.pseudonyms import Pseudonyms
from stillroom.serve.receipts import Receipts
from stillroom.serve.routes.events import EventSplitter
from stillroom.serve.routes.reply import ReplyReader
from stillroom.serve.routes.request import read_body, read_request
from stillroom.store.secrets import Secrets
from stillroom.store.tables import message_row

DATA = Path(__file__).parents[2] / "data" / "replies" / "replies.jsonl"
RECORDED = {row["id"]: row for row in map(json.loads, DATA.read_text(encoding="utf-8").splitlines())}
ASKED = (
    Message(role="system", content="Be brief, näıve ☕ and 1.0."),
    Message(role="user", content="What is 2 + 3?"),
    Message(role="assistant", content="5", tool_calls=({"id": "a", "function": {"name": "f", "arguments": "{}"}},)),
    Message(role="user", content=" And with a line\nand 1e3 more? "),
)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> tuple[Receipts, Judge]:
    folder = tmp_path_factory.mktemp("state")
    secrets, keyring = Secrets.open(folder), Keyring.open(folder)
    now = keyring.keys[0].not_before
    claims = {"v": 1, "jti": "permit_1", "iss": "owner", "iat": now, "nbf": now, "exp": now + 9_999, "calls": None}
    claims |= {"organisation": "o", "accounts": [Pseudonyms(secrets).of("acct_1", "permit_1")], "models": ["teacher"]}
    claims |= {"purpose": "p", "tokens": None, "student": "s", "conditions": []}
    permit = HeldPermit(keyring.active.sign(PERMIT_TYP, claims), "permit")
    owner, refused = read_owner(orjson.dumps(keyring.jwks()), "keys", [permit], now + 5)
    assert not refused
    return Receipts(secrets, keyring, "owner"), Judge(owner)


def signed(receipts: Receipts, body: bytes, reply: bytes, is_stream: bool, at: int) -> str:
    asked = read_request("chat", read_body(body))
    reader, splitter = ReplyReader("chat"), EventSplitter()
    if is_stream:
        for event in splitter.feed(reply):
            reader.feed_event(event)
        reader.feed_event(splitter.rest())
    else:
        reader.whole(reply)
    known: dict[str, Any] = {field.name: None for field in fields(Call)}
    known |= {"at": at, "call_id": "c", "account": "acct_1", "permit_id": "permit_1", "model": asked.model}
    known |= {"route": "chat", "stream": is_stream, "prompt_tokens": 1, "completion_tokens": 1}
    begun = receipts.begin(asked.prompt, asked.last_user_text, read_body(body))
    return receipts.sign(begun, Call(**known), served_model=None, said=reader.said)[1]


@pytest.mark.parametrize("identity", RECORDED)
def test_a_recorded_reply_verifies(gateway: tuple[Receipts, Judge], identity: str) -> None:
    receipts, judge = gateway
    recorded = RECORDED[identity]
    reply = (recorded["body"] if isinstance(recorded["body"], str) else json.dumps(recorded["body"])).encode()
    request = RequestSettings(Endpoint(model="teacher", base_url="http://x/v1"), Sampling(temperature=0.5))
    body = request.body(sent_messages(ASKED), [0])
    wire = signed(receipts, body, reply, recorded["stream"], judge._owner.now * 1_000_000)
    for parsed in parse_replies(reply):
        if not (parsed.answer or parsed.reasoning):
            continue
        said = Message(
            role="assistant",
            content=parsed.answer.strip(),
            reasoning=(parsed.reasoning or "").strip() or None,
            tool_calls=parsed.tool_calls or None,
        )
        messages = messages_form(map(message_row, [*ASKED, said]))
        row = {"messages": messages, "teacher": "teacher", "receipt": wire}
        judged = judge.judge(row)
        assert isinstance(judged, Vouched), judged
        assert judged.prompt == "whole"
