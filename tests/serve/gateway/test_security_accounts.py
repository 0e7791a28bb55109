"""One account and what is another's; and keys, which are compared with nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

from tests.serve.gateway.asking import chat

from stillroom.serve.accounts.directory import Directory

if TYPE_CHECKING:
    from tests.serve.gateway.conftest import RunningGateway

CHAT = "/v1/chat/completions"


def _error(answer: tuple[int, bytes, dict[str, str]]) -> tuple[int, str]:
    return answer[0], json.loads(answer[1])["error"]["code"]


def test_what_is_another_accounts_is_not_there(gateway: RunningGateway) -> None:
    mine, colleague, stranger = gateway.key(), gateway.key(), gateway.key(organisation="Others")
    headers = gateway.post(CHAT, chat({"say": ["x"]}), mine.key)[2]
    receipt = headers["x-stillroom-receipt-id"]
    unknown = _error(gateway.get(f"/receipts/{receipt[:-1]}x", mine.key))
    assert gateway.get(f"/receipts/{receipt}", mine.key)[0] == 200
    for key in (colleague, stranger):
        # Not even whether it is there.
        assert _error(gateway.get(f"/receipts/{receipt}", key.key)) == unknown == (404, "receipt_not_found")
        answer = gateway.get(f"/receipts/{receipt}?account={mine.account}&account_id={mine.account}", key.key)
        assert answer[0] == 404
    assert gateway.get(f"/receipts/{receipt}")[0] == 401


def test_who_somebody_is_comes_from_the_key_alone(gateway: RunningGateway) -> None:
    mine, other = gateway.key(), gateway.key(organisation="Others")
    spoofed: dict[str, Any] = {"user": other.account, "account": other.account, "metadata": {"user_id": other.account}}
    sent = {
        "x-account": other.account,
        "openai-organization": "Others",
        "openai-project": other.account,
        "x-stillroom-account": other.account,
        "x-user": other.account,
        "from": other.account,
    }
    assert gateway.post(CHAT, chat({"say": ["x"]}, **spoofed), mine.key, sent)[0] == 200
    (row,) = gateway.calls_of(mine, 1)
    assert row["account"] == mine.account
    assert row["organisation"] == gateway.organisations["Acme"]
    assert not [call for call in gateway.calls() if call["account"] == other.account]
    assert other.account not in json.dumps(row, default=str)


def test_a_model_that_an_account_may_not_ask_is_not_there_for_it(gateway: RunningGateway) -> None:
    key = gateway.key(models=["another"])
    may_not, unknown = chat({"say": ["x"]}), {**chat({"say": ["x"]}), "model": "q"}
    answers = [gateway.post(CHAT, body, key.key) for body in (may_not, unknown)]
    assert {_error(answer) for answer in answers} == {(404, "model_not_found")}
    # But for its name, no answer tells the one from the other.
    assert answers[0][1].replace(b"'m'", b"'q'") == answers[1][1]
    assert json.loads(gateway.get("/v1/models", key.key)[1])["data"] == []
    one, other = (gateway.get(f"/v1/models/{name}", key.key) for name in ("m", "q"))
    assert one[:2] == other[:2]
    assert one[0] == 404


class Untouched(str):
    """A text that nobody may compare."""

    def __eq__(self, other: object) -> NoReturn:
        raise AssertionError("a key was compared")

    __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __eq__

    def __hash__(self) -> NoReturn:
        raise AssertionError("a key was looked up by itself")


def test_a_key_is_looked_up_by_its_keyed_hash_and_compared_with_nothing(gateway: RunningGateway) -> None:
    """An argument and not a measurement: a time says nothing about keys where no step depends on how much of one is
    right. The form is checked alike for any text; then only the hash is looked at, which nobody outside can foresee.
    """
    key = gateway.key()
    directory = Directory(gateway.engine, gateway.secrets)
    directory.load()
    found = directory.find(Untouched(key.key))
    assert found is not None
    assert found.account == key.account
    nearly = Untouched(key.key[:-1] + ("A" if key.key[-1] != "A" else "B"))
    assert directory.find(nearly) is None
    assert directory.refusal(nearly).code == "invalid_api_key"
    kept = repr(vars(directory))
    assert not any(key.key[at : at + 12] in kept for at in range(12, len(key.key) - 12))


def test_keys_that_are_nearly_right_are_answered_as_any_other(gateway: RunningGateway) -> None:
    key = gateway.key().key
    answers = [
        gateway.get("/v1/models", wrong)
        for wrong in (key[:-1], key[:-1] + ("A" if key[-1] != "A" else "B"), f"sr-aaaaaaaa-{'A' * 43}", "x", "x" * 5000)
    ]
    assert {answer[:2] for answer in answers} == {answers[0][:2]}
    assert answers[0][0] == 401
