"""What a permit says, and what is refused as one."""

from __future__ import annotations

from typing import Any

import pytest

from stillroom.base.permit import (
    MAX_PERMIT_BYTES,
    PERMIT_TYP,
    Permit,
    permit_in_words,
    read_permit,
    read_unverified_permit,
)
from stillroom.base.receipt import RECEIPT_TYP
from stillroom.base.signatures import PublicKey, PublicKeys, SignatureRefused, SigningKey

KEY = SigningKey.generate()
KEYS = PublicKeys([PublicKey(KEY.jwk, KEY.kid)])
NOW = 1_800_000_000
DAY = 86_400
ALICE, BOB = "a" * 32, "b" * 32


def claims(**changes: Any) -> dict[str, Any]:
    return {
        "v": 1,
        "jti": "permit_1",
        "iss": "Abacus Models",
        "iat": NOW,
        "nbf": NOW,
        "exp": NOW + 30 * DAY,
        "organisation": "University of Somewhere",
        "accounts": [ALICE],
        "models": ["abacus", "abacus-mini"],
        "purpose": "a tutor for fractions",
        "calls": 100_000,
        "tokens": None,
        "student": "fraction-tutor",
        "conditions": ["The student's card names Abacus."],
        **changes,
    }


def permit(**changes: Any) -> Permit:
    return read_permit(KEY.sign(PERMIT_TYP, claims(**changes)), KEYS, NOW)


def test_what_was_signed_is_read() -> None:
    assert permit().model_dump(mode="json") == claims()
    other = SigningKey.generate().sign(PERMIT_TYP, claims())
    assert read_unverified_permit(other) == permit()
    with pytest.raises(SignatureRefused) as caught:
        read_permit(other, KEYS, NOW)
    assert caught.value.reason == "unknown_key"


def test_it_holds_from_its_first_second_to_its_last() -> None:
    assert not permit().holds_at(NOW - 1)
    assert permit().holds_at(NOW)
    assert permit().holds_at(NOW + 30 * DAY - 1)
    assert not permit().holds_at(NOW + 30 * DAY)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"v": 2}, "v: "),
        ({"exp": NOW}, "it ends before it begins"),
        ({"nbf": -1}, "nbf: "),
        ({"exp": 10**15}, "exp: "),
        ({"exp": float(NOW)}, "exp: "),
        ({"models": []}, "models: "),
        ({"models": "abacus"}, "models: should be a list"),
        ({"accounts": []}, "accounts: "),
        ({"accounts": ["alice@example.org"]}, "accounts.0: "),
        ({"calls": 0}, "calls: "),
        ({"tokens": "100"}, "tokens: should be a whole number"),
        ({"purpose": ""}, "purpose: should not be empty"),
        ({"student": "a" * 1001}, "student: "),
        ({"conditions": None}, "conditions: "),
        ({"purpose": "a tutor\x1b[2J"}, "purpose: "),
        ({"models": ["a\nb"]}, "models.0: "),
        ({"conditions": [""]}, "conditions.0: "),
        ({"sublicence": True}, "sublicence: is no key here"),
    ],
)
def test_claims_that_are_no_permits_are_refused(change: dict[str, Any], what: str) -> None:
    with pytest.raises(SignatureRefused, match=what) as caught:
        permit(**change)
    assert caught.value.reason == "claims"


def test_a_permit_from_the_future_is_refused() -> None:
    assert permit(iat=NOW + 60)
    with pytest.raises(SignatureRefused, match="in the future") as caught:
        permit(iat=NOW + 61)
    assert caught.value.reason == "time"


def test_a_receipt_is_no_permit() -> None:
    with pytest.raises(SignatureRefused) as caught:
        read_permit(KEY.sign(RECEIPT_TYP, claims()), KEYS, NOW)
    assert caught.value.reason == "type"


def test_what_is_too_long_for_a_header_is_refused() -> None:
    token = KEY.sign(PERMIT_TYP, claims(conditions=["a" * MAX_PERMIT_BYTES]))
    for read in (read_unverified_permit, lambda wire: read_permit(wire, KEYS, NOW)):
        with pytest.raises(SignatureRefused) as caught:
            read(token)
        assert caught.value.reason == "too_large"


def test_it_says_in_plain_words_what_it_allows() -> None:
    assert permit_in_words(permit()) == [
        "Permit permit_1, signed by Abacus Models on 2027-01-15 08:00 UTC.",
        "University of Somewhere may train fraction-tutor on replies of abacus and abacus-mini,",
        "for: a tutor for fractions,",
        "with at most 100,000 calls and any number of tokens, made by 1 account,",
        "from 2027-01-15 08:00 UTC to 2027-02-14 08:00 UTC,",
        "on the condition:",
        "- The student's card names Abacus.",
    ]
    words = permit_in_words(permit(calls=1, tokens=5_000_000, accounts=[ALICE, BOB], models=["abacus"], conditions=[]))
    assert words[3] == "with at most 1 call and at most 5,000,000 tokens, made by 2 accounts,"
    assert words[-1] == "on no further condition."
