"""The owner of tests signs as a gateway does, and a script can have one."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from stillroom.base.errors import StoreError
from stillroom.base.permit import PERMIT_HEADER, read_permit
from stillroom.base.receipt import read_receipt, text_digest
from stillroom.base.signatures import PublicKeys
from stillroom.testing import MisbehavingTeacher, Owner
from stillroom.testing.call import Call
from stillroom.testing.script import load_script

NOW = 1_900_000_000
FIELDS = {"model": "teacher", "messages": [{"role": "user", "content": "?"}]}


def test_its_receipts_and_permits_verify_with_its_keys(ask: Callable[..., Any]) -> None:
    owner = Owner("somebody")
    keys = PublicKeys.from_jwks(owner.keys(), "keys")
    permit = owner.permit(student="a student", iat=NOW, nbf=NOW, exp=NOW + 1)
    assert read_permit(permit, keys, NOW).student == "a student"
    with MisbehavingTeacher(owner=owner) as teacher:
        whole, stream = ask(teacher.base_url, "a b?"), ask(teacher.base_url, "a b?", stream=True)
    comment = next(line for line in stream.body.decode().splitlines() if line.startswith(": stillroom-receipt "))
    for wire in (whole.headers["x-stillroom-receipt"], comment.removeprefix(": stillroom-receipt ")):
        receipt, salt = read_receipt(wire, keys, NOW)
        assert (receipt.iss, receipt.permit) == ("somebody", None)
        assert receipt.user == text_digest(salt, "user", "a b?")
    assert stream.events[-1] == "[DONE]"
    assert stream.body.decode().splitlines()[-4] == comment  # before the last event


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({}, None),
        ({"nbf": 1, "exp": 2}, "permit_expired"),
        ({"nbf": NOW * 2, "exp": NOW * 2 + 1}, "permit_not_begun"),
        ({"models": ["another"]}, "permit_model"),
        ({"accounts": [f"{1:032x}"]}, "permit_not_yours"),
        ({"iat": NOW * 2}, "permit_refused"),
    ],
)
def test_permits_are_refused_as_a_gateway_does(claims: dict[str, Any], code: str | None) -> None:
    owner = Owner()
    fault = owner.refusal(Call(FIELDS, "?", {PERMIT_HEADER: owner.permit(**claims)}))
    assert (None if fault is None else json.loads(fault.body or b"")["error"]["code"]) == code


def test_a_permit_is_spent() -> None:
    owner = Owner()
    call = Call(FIELDS, "?", {PERMIT_HEADER: owner.permit(calls=2)})
    assert [getattr(owner.refusal(call), "status", 200) for _ in range(3)] == [200, 200, 429]
    stranger = Call(FIELDS, "?", {PERMIT_HEADER: Owner("a stranger").permit()})
    assert getattr(owner.refusal(stranger), "status", 200) == 403
    assert owner.refusal(Call(FIELDS, "?", {})) is None


def test_a_script_with_an_owner(tmp_path: Path, ask: Callable[..., Any]) -> None:
    path, permit = tmp_path / "script.yaml", tmp_path / "permit.jws"
    path.write_text(f"models: [teacher, larger]\nowner: {{name: me, permit: {permit}}}\n")
    with load_script(path).teacher() as teacher:
        wire = ask(teacher.base_url).headers["x-stillroom-receipt"]
        address = urlsplit(teacher.base_url)
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
        connection.request("GET", "/.well-known/jwks.json")
        keys = PublicKeys.from_jwks(connection.getresponse().read(), "keys")
        connection.close()
    assert read_receipt(wire, keys, NOW)[0].iss == "me"
    assert read_permit(permit.read_text().strip(), keys, NOW).models == ("teacher", "larger")
    path.write_text("owner: {name: me, permit: /proc/nowhere/permit}\n")
    with pytest.raises(StoreError, match="nowhere"):
        load_script(path).teacher()
