"""Calls as the gateway writes them down, and what is asked of a log again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stillroom.base.records import Call
from stillroom.base.signatures import PublicKey, PublicKeys, SigningKey
from stillroom.serve.meter.call_log import CallLog
from stillroom.serve.meter.chain import RECORD_TYPE, Sign
from stillroom.serve.meter.ids import new_id
from stillroom.serve.meter.sealing import seal
from stillroom.text.prints import EarlierPrints

AT = 1_795_699_848_558_268

BEGUN = Call(
    call_id="",
    at=AT,
    account="acct_1",
    organisation="org_1",
    key_id="key_1",
    model="abacus",
    route="chat",
    stream=True,
    turns=1,
    max_tokens=512,
    temperature=0.7,
    n=1,
    asks_reasoning=True,
    asks_logprobs=False,
    asks_grading=False,
    ip_print="a1" * 16,
    tls_print="a2" * 16,
    agent="openai/2.1",
    billing_print="a3" * 16,
    user_print="a4" * 16,
    prompt_print="a5" * 16,
    system_print="a6" * 16,
    skeleton_print="a7" * 16,
    print_key_id="2026q4-00000000",
    permit_id="permit_1",
)


EARLIER = EarlierPrints(
    print_key_id="2026q3-00000000",
    ip_print="b1" * 16,
    tls_print="b2" * 16,
    user_print="b3" * 16,
    prompt_print="b4" * 16,
    system_print="b5" * 16,
    skeleton_print="b6" * 16,
    minhash=bytes(range(64, 128)),
)


def a_call(**changes: Any) -> Call:
    return replace(BEGUN, **{"call_id": new_id(AT), **changes})


def settle(call: Call) -> Call:
    return replace(
        call,
        prompt_tokens=100,
        cached_tokens=40,
        completion_tokens=200,
        reasoning_tokens=50,
        counted_by="provider",
        cost_usd="0.00123",
        latency_us=12_345,
        status="ok",
        http_status=200,
        receipt_id=new_id(AT),
        escrow_digest="sha256:" + "e5" * 32,
    )


def pass_calls(log: CallLog, count: int, **changes: Any) -> list[Call]:
    calls = []
    for _ in range(count):
        call = a_call(**changes)
        log.begin(call)
        calls.append(settle(call))
        log.settle(calls[-1], bytes(range(64)), f"jws of {call.call_id}", EARLIER)
    return calls


@contextmanager
def open_log(folder: Path, **settings: Any) -> Iterator[CallLog]:
    log = CallLog(folder, **{"reserve_bytes": 0, **settings})
    try:
        yield log
    finally:
        log.close()


@pytest.fixture
def begun() -> Callable[..., Call]:
    """A call that is about to be passed on, with some of its fields changed."""
    return a_call


@pytest.fixture
def settled() -> Callable[[Call], Call]:
    """The same call once its reply has been read: every column has a value."""
    return settle


@pytest.fixture
def fill() -> Callable[..., list[Call]]:
    """Passes calls through a log: each begun and settled, with a sketch and a receipt."""
    return pass_calls


@pytest.fixture
def opened() -> Callable[..., Any]:
    """A log for the length of a block."""
    return open_log


@pytest.fixture(scope="session")
def sealed_log(tmp_path_factory: pytest.TempPathFactory, signing_key: SigningKey) -> Path:
    """The folder of calls of a gateway that signs: two segments of one worker and one of another, six rows in each."""
    calls = tmp_path_factory.mktemp("sealed") / "calls"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stillroom.serve.meter.sealer.written_by_a_child", seal)
        for worker in ("w0", "w0", "w1"):
            with open_log(calls / worker, sign=lambda record: signing_key.sign(RECORD_TYPE, record)) as log:
                pass_calls(log, 4)
                pass_calls(log, 2, account="acct_2", temperature=None)
    return calls


@pytest.fixture(autouse=True)
def short_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a log does once a second, it does fifty times a second here."""
    monkeypatch.setattr("stillroom.serve.meter.call_log._TICK_S", 0.02)


@pytest.fixture
def in_children() -> None:
    """Segments are sealed by processes of their own, as in a gateway."""


@pytest.fixture(autouse=True)
def sealed_here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments are sealed in this process, which spares a second for each. Not in tests that use `in_children`."""
    if "in_children" not in request.fixturenames:
        monkeypatch.setattr("stillroom.serve.meter.sealer.written_by_a_child", seal)


@pytest.fixture(scope="session")
def signing_key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture
def sign(signing_key: SigningKey) -> Sign:
    return lambda record: signing_key.sign(RECORD_TYPE, record)


@pytest.fixture
def keys(signing_key: SigningKey) -> PublicKeys:
    return PublicKeys([PublicKey(signing_key.jwk, signing_key.kid)])
