"""Tokens: what is signed is read again, and everything that is not just so is refused, in words that say why."""

from __future__ import annotations

import base64
import json
import warnings
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey

from stillroom.base.errors import DataError
from stillroom.base.signatures import (
    MAX_TOKEN_BYTES,
    PublicKey,
    PublicKeys,
    SignatureRefused,
    SigningKey,
    open_token,
    unverified_claims,
)

TYP = "stillroom-test+jws"
KEY = SigningKey.generate()
KEYS = PublicKeys([PublicKey(KEY.jwk, KEY.kid)])
CLAIMS = {"v": 1, "text": "é", "list": [1, None, {"a": True}]}


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header: dict[str, Any] | bytes, payload: bytes = b"{}", key: SigningKey = KEY) -> str:
    """Whatever header and payload, under a signature that fits."""
    head = header if isinstance(header, bytes) else orjson.dumps(header)
    text = f"{base64url(head)}.{base64url(payload)}"
    return f"{text}.{base64url(key._private_key.sign(text.encode()))}"


def header(**changes: Any) -> dict[str, Any]:
    return {"alg": "Ed25519", "kid": KEY.kid, "typ": TYP, **changes}


def refusal(token: str, keys: PublicKeys = KEYS) -> SignatureRefused:
    with pytest.raises(SignatureRefused) as caught:
        open_token(token, TYP, keys)
    return caught.value


def test_what_was_signed_is_read_with_the_key_that_signed_it() -> None:
    claims, key = open_token(KEY.sign(TYP, CLAIMS), TYP, KEYS)
    assert claims == CLAIMS
    assert key.kid == KEY.kid
    assert unverified_claims(KEY.sign(TYP, CLAIMS), TYP) == CLAIMS


def test_a_plain_jose_library_reads_it() -> None:
    token = KEY.sign(TYP, CLAIMS)
    public = OKPKey.import_key(KEY.jwk.as_dict(private=False))
    read = jws.deserialize_compact(token, public, algorithms=["Ed25519"])
    assert json.loads(read.payload) == CLAIMS
    assert read.protected == header()
    assert jws.serialize_compact(header(), orjson.dumps(CLAIMS), KEY.jwk, algorithms=["Ed25519"]) == token


@given(st.data())
def test_a_token_with_one_character_changed_is_refused(data: st.DataObject) -> None:
    token = KEY.sign(TYP, CLAIMS)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(exclude_characters=token[place]))
    with pytest.raises(SignatureRefused):
        open_token(token[:place] + other + token[place + 1 :], TYP, KEYS)


@given(st.text() | st.binary().map(lambda data: base64url(data)))
def test_what_is_no_token_is_refused(text: str) -> None:
    assert refusal(text).reason == "malformed"
    assert refusal(f"{text}.{text}.{text}").reason == "malformed"


def test_the_algorithm_is_not_the_tokens_to_choose() -> None:
    assert refusal(f"{base64url(orjson.dumps(header(alg='none')))}.{base64url(b'{}')}.").reason == "algorithm"
    public_bytes = KEY._private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    for secret in (public_bytes, orjson.dumps(KEY.jwk.as_dict(private=False))):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # joserfc's own: that such a secret is a bad one
            forged = jws.serialize_compact(header(alg="HS256"), b"{}", OctKey.import_key(secret), algorithms=["HS256"])
        assert refusal(forged).reason == "algorithm"
    ec = jws.serialize_compact(header(alg="ES256"), b"{}", ECKey.generate_key("P-256"), algorithms=["ES256"])
    assert refusal(ec).reason == "algorithm"
    error = refusal(signed(header(alg="EdDSA")))
    assert error.reason == "algorithm"
    assert error.what == 'Its algorithm is "EdDSA", not Ed25519.'


def test_a_token_of_another_type_is_refused() -> None:
    error = refusal(KEY.sign("stillroom-permit+jws", CLAIMS))
    assert error.reason == "type"
    assert error.what == "Its type is \"stillroom-permit+jws\", not 'stillroom-test+jws'."


def test_a_key_that_is_not_the_owners_is_refused() -> None:
    other = SigningKey.generate()
    error = refusal(other.sign(TYP, CLAIMS))
    assert error.reason == "unknown_key"
    assert other.kid in error.what
    # the owner's kid on somebody else's signature
    assert refusal(signed(header(), orjson.dumps(CLAIMS), other)).reason == "signature"
    assert refusal(KEY.sign(TYP, CLAIMS), PublicKeys([])).reason == "unknown_key"


@pytest.mark.parametrize(
    "head",
    [
        {"alg": "Ed25519", "typ": TYP},
        {"alg": "Ed25519", "kid": KEY.kid},
        header(crit=["exp"], exp=1),
        header(b64=False),
        header(jwk={}),
        header(jku="https://owner.example/keys"),
        header(kid=7),
        header(kid="é"),
        header(kid=None),
        b"[]",
        b'"alg"',
        b"7",
        b"{",
        b"\xff",
        b"[" * 300 + b"]" * 300,
    ],
)
def test_a_header_with_less_or_more_is_refused(head: dict[str, Any] | bytes) -> None:
    assert refusal(signed(head)).reason == "malformed"


def test_names_that_stand_twice_and_spaces_are_refused() -> None:
    twice = f'{{"alg":"none","alg":"Ed25519","kid":"{KEY.kid}","typ":"{TYP}"}}'.encode()
    spaced = json.dumps(header()).encode()
    assert "a name twice" in refusal(signed(twice)).what
    assert "spaces" in refusal(signed(spaced)).what
    assert "a name twice" in refusal(signed(header(), b'{"a":1,"a":2}')).what
    assert "a name twice" in refusal(signed(header(), b'{"a":{"b":1,"b":2}}')).what
    assert "spaces" in refusal(signed(header(), b'{"a": 1}')).what


@pytest.mark.parametrize("payload", [b"", b"[]", b"7", b"null", b"{", b"\xff", b"[" * 300 + b"]" * 300, b"[" * 5000])
def test_claims_that_are_no_object_are_refused(payload: bytes) -> None:
    token = signed(header(), payload)
    assert refusal(token).reason == "malformed"
    with pytest.raises(SignatureRefused):
        unverified_claims(token, TYP)


def test_what_is_huge_is_refused_before_it_is_read() -> None:
    assert refusal("a" * (MAX_TOKEN_BYTES + 1)).reason == "too_large"
    assert refusal(KEY.sign(TYP, {"text": "a" * MAX_TOKEN_BYTES})).reason == "too_large"
    assert refusal(signed(header(kid="a" * 2000))).reason == "malformed"


def test_padding_and_spare_bits_are_refused() -> None:
    token = KEY.sign(TYP, CLAIMS)
    assert refusal(token + "==").reason in ("malformed", "signature")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # 64 bytes leave the last of 86 characters four bits that say nothing
    spare = alphabet[alphabet.index(token[-1]) + 1]
    assert refusal(token[:-1] + spare).reason in ("malformed", "signature")


def test_a_key_has_its_time() -> None:
    key = PublicKey(KEY.jwk, KEY.kid, not_before=1000, retired_at=2000)
    for signed_at in (1000, 1500, 2000, 2060, 940):
        key.check_time(signed_at, now=2000)
    for signed_at, now, what in ((900, 2000, "not in use"), (2100, 3000, "not in use"), (1700, 1600, "in the future")):
        with pytest.raises(SignatureRefused, match=what) as caught:
            key.check_time(signed_at, now)
        assert caught.value.reason == "time"


def published(**changes: Any) -> dict[str, Any]:
    return {**KEY.jwk.as_dict(private=False), "kid": KEY.kid, "use": "sig", "alg": "Ed25519", "nbf": 1000, **changes}


def test_a_jwk_set_is_read() -> None:
    other = {"kty": "AKP", "kid": "later", "alg": "ML-DSA-44", "pub": "AA"}
    data = orjson.dumps({"keys": [other, published(retired_at=2000)]})
    keys = PublicKeys.from_jwks(data, "keys.json")
    assert len(keys) == 1
    assert open_token(KEY.sign(TYP, CLAIMS), TYP, keys)[1].retired_at == 2000
    assert keys.get("later") is None
    assert keys.get(None) is None


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "no JWK set"),
        (b"[]", "no JWK set"),
        (b"{}", "no JWK set"),
        (b'{"keys":{}}', "`keys` is no list"),
        (b'{"keys":[]}', "has no Ed25519 key"),
        (b'{"keys":[7,{"kty":"EC"}]}', "has no Ed25519 key"),
        (orjson.dumps({"keys": [published(x="AA")]}), "key 1 is no Ed25519 key"),
        (orjson.dumps({"keys": [published(x=7)]}), "key 1 is no Ed25519 key"),
        (orjson.dumps({"keys": [published(kty="oct")]}), "has no Ed25519 key"),
        (orjson.dumps({"keys": [published(kid=7)]}), "`kid` is no text"),
        (orjson.dumps({"keys": [published(nbf="now")]}), "`nbf` is no whole number"),
        (orjson.dumps({"keys": [published(retired_at=True)]}), "`retired_at` is no whole number"),
        (orjson.dumps({"keys": [published(), published()]}), "two keys of one `kid`"),
        (orjson.dumps({"keys": [published(d="AA")]}), "is a private key"),
        (b" " * (2 << 20), "larger than"),
        (b"[" * 100_000, "no JWK set"),
    ],
)
def test_what_is_no_key_set_is_refused(data: bytes, what: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        PublicKeys.from_jwks(data, "keys.json")
    assert "keys.json" in caught.value.what
