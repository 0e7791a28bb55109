"""JSON that readers understand differently, or that is dear to read: refused, or passed on and metered; never a 500."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.serve.gateway.conftest import ModelServer, RunningGateway

MESSAGES = '"messages":[{"role":"user","content":"hi"}]'
CHAT = f'{{"model":"m",{MESSAGES}%s}}'
DEEP = '"x":' + "[" * 5000 + "]" * 5000
LIGATURES = "\ufdfa" * 20_000
MARKS = "‘ " * 8000 + "« " * 8000 + "``` " * 8000


def _asking(*contents: object) -> str:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": content} for content in contents]})


REFUSED = {
    "nothing": "",
    "a list": "[]",
    "null": "null",
    "half of it": CHAT[:-3],
    "two of them": CHAT % "" + CHAT % "",
    "a comment": "/* */" + CHAT % "",
    "a byte order mark": "\ufeff" + CHAT % "",
    "NaN": CHAT % ',"temperature":NaN',
    "infinity": CHAT % ',"temperature":Infinity',
    "a number beyond all": CHAT % ',"temperature":1e999',
    "a whole number beyond all": CHAT % f',"max_tokens":{"9" * 400}',
    "a whole number of many digits": CHAT % f',"max_tokens":{"9" * 30}',
    "less than one": CHAT % ',"max_tokens":-1',
    "a fraction": CHAT % ',"n":1.5',
    "a text for a number": CHAT % ',"max_tokens":"5"',
    "true for a number": CHAT % ',"n":true',
    "too many replies": CHAT % ',"n":100000',
    "a text for true": CHAT % ',"stream":"true"',
    "half a surrogate": CHAT % ',"user":"\\ud800"',
    "half a surrogate in a message": '{"model":"m","messages":[{"role":"user","content":"\\udfff"}]}',
    "half a surrogate in a name": CHAT % ',"\\ud800":1',
    "a model twice": CHAT % ',"model":"other"',
    "a model twice, escaped": CHAT % ',"mod\\u0065l":"other"',
    "a model in other letters": CHAT % ',"Model":"other"',
    "messages with a long s": CHAT % ',"me\u017fsages":[]',
    "messages twice": CHAT % ',"messages":[]',
    "a limit twice": CHAT % ',"max_tokens":1,"max_tokens":100000',
    "stream twice": CHAT % ',"stream":false,"stream":true',
    "usage twice": CHAT % ',"stream":true,"stream_options":{"include_usage":false,"include_usage":true}',
    "a name of an object": CHAT % ',"user":{"a":1}',
    "no messages": '{"model":"m","messages":[]}',
    "a message that is none": '{"model":"m","messages":["hi"]}',
    "a role that is none": '{"model":"m","messages":[{"role":5}]}',
    "a content that is none": '{"model":"m","messages":[{"role":"user","content":5}]}',
    "very deep": CHAT % f",{DEEP}",
    "deep": CHAT % f',"x":{"[" * 300}{"]" * 300}',
    "very deep and twice": CHAT % f',"model":"m",{DEEP}',
    "an unknown model": '{"model":"m\\u0000",' + MESSAGES + "}",
}
PASSED = {
    "a large number nobody looks at": CHAT % f',"seed":{"9" * 30}',
    "a large temperature": CHAT % f',"temperature":{"9" * 30}',
    "a twin that nobody looks at": CHAT % ',"metadata":{"a":1,"a":2}',
    "names of ours further inside": CHAT % ',"x":[{"model":"other","model":"third"}]',
    "rather deep": CHAT % f',"x":{"[" * 240}{"]" * 240}',
    "a stream without null": CHAT % ',"stream":null,"n":null,"user":null',
    "control characters": CHAT % ',"user":"\\u0000\\u001b[31m\\r\\n\\u202e"',
    "odd parts": _asking([{"type": "text", "text": "x"}, 5, None, [[]], {"a": []}]),
    "odd fields": CHAT % ',"tools":"x","functions":3,"response_format":[],"thinking":[],"reasoning":{"effort":5}',
    "one character that becomes eighteen": _asking(LIGATURES),
    "quotation marks": _asking(MARKS),
    "many messages": _asking(*["hi"] * 5_000),
}


def test_what_readers_understand_differently_is_refused_and_not_called(
    gateway: RunningGateway, model: ModelServer
) -> None:
    key = gateway.key().key
    before = model.get("/counts")["begun"]
    for name, body in REFUSED.items():
        status, answer, _ = gateway.post("/v1/chat/completions", body.encode(), key)
        assert status in (400, 404), name
        assert json.loads(answer)["error"]["message"], name
    for encoded in ((CHAT % "").encode("utf-16"), (CHAT % "").encode() + b"\xff", b"\x1f\x8b\x08\x00", b"\x00" * 99):
        assert gateway.post("/v1/chat/completions", encoded, key)[0] == 400
    assert model.get("/counts")["begun"] == before


def test_what_one_reader_is_enough_for_is_passed_on_and_metered(gateway: RunningGateway, model: ModelServer) -> None:
    key = gateway.key()
    before = model.get("/counts")["begun"]
    for name, body in PASSED.items():
        assert gateway.post("/v1/chat/completions", body.encode(), key.key)[0] == 200, name
    assert model.get("/counts")["begun"] == before + len(PASSED)
    rows = gateway.calls_of(key, len(PASSED))
    assert [row["status"] for row in rows] == ["ok"] * len(PASSED)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("completions", '{"model":"m","prompt":[[1,2],"x"]}'),
        ("completions", '{"model":"m","prompt":[true]}'),
        ("completions", '{"model":"m","prompt":"x","best_of":1e9}'),
        ("embeddings", '{"model":"m","input":[]}'),
        ("embeddings", '{"model":"m","input":[-1]}'),
        ("embeddings", '{"model":"m","input":{"a":1}}'),
        ("responses", '{"model":"m","input":[5]}'),
        ("responses", '{"model":"m","input":"x","previous_response_id":"resp_of_somebody_else"}'),
        ("responses", '{"model":"m","input":"x","conversation":"conv_of_somebody_else"}'),
        ("responses", '{"model":"m","input":"x","background":true}'),
        ("messages", '{"model":"m","max_tokens":5,"messages":[]}'),
        ("messages", '{"model":"m","max_tokens":5,"messages":[{"role":"user","content":5}]}'),
        ("messages", '{"model":"m","max_tokens":1e99,"messages":[{"role":"user","content":"x"}]}'),
    ],
)
def test_each_route_refuses_what_it_can_not_read(path: str, body: str, gateway: RunningGateway) -> None:
    status, answer, _ = gateway.post(f"/v1/{path}", body.encode(), gateway.key().key)
    assert status == 400
    error = json.loads(answer)
    assert error["error"]["message"]
    assert (error.get("type") == "error") is (path == "messages")
