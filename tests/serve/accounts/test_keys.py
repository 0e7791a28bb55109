"""Keys: their form, their hashes, and that nothing else of them is kept."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from tests.serve.accounts.conftest import Office

from stillroom.serve.accounts.keys import KeyHashes
from stillroom.store.secrets import Secrets

SECRETS = Secrets(b"s" * 32)
HASHES = KeyHashes(SECRETS, "sr")


def test_the_form_of_a_key() -> None:
    key = HASHES.new()
    assert re.fullmatch(r"sr-[a-z0-9]{8}-[A-Za-z0-9_-]{43}", key.text)
    assert key.text.startswith(key.prefix + "-")
    assert len(key.prefix) == 11
    assert HASHES.of(key.text) == key.hash
    assert key.text not in repr(key)


def test_a_hash_is_of_one_gateway_and_one_kind_of_key() -> None:
    key = HASHES.new()
    assert KeyHashes(Secrets(b"t" * 32), "sr").of(key.text) != key.hash
    assert KeyHashes(SECRETS, "sra").of(key.text) is None


@given(st.text(max_size=80))
def test_what_is_no_key_has_no_hash(presented: str) -> None:
    assert HASHES.of(presented) is None


@pytest.mark.parametrize("change", ["{} ", " {}", "{}\n", "{}\0", "{}x", "Bearer {}"])
def test_nothing_stands_around_a_key(change: str) -> None:
    assert HASHES.of(change.format(HASHES.new().text)) is None


def test_a_key_that_is_nearly_right_is_as_wrong_as_any() -> None:
    """What is looked up and compared is the hash: of a key guessed but for one letter, nothing of it is right."""
    key = HASHES.new()
    for place in range(len(key.prefix) + 1, len(key.text)):
        letter = "A" if key.text[place] != "A" else "B"
        nearly = HASHES.of(key.text[:place] + letter + key.text[place + 1 :])
        assert nearly is not None
        equal = [one == other for one, other in zip(nearly, key.hash, strict=True)]
        assert not all(equal[:4])
        assert sum(equal) < 8


def test_no_key_is_in_the_database(engine: Engine, office: Office) -> None:
    account = office.account()
    key_id, first = office.key(account)
    _, second = office.rotate(key_id, grace_s=60)
    office.revoke(key_id)
    with engine.connect() as connection:
        rows = [
            repr(connection.execute(text(f"select * from {table}")).all())
            for table in ("organisations", "accounts", "keys", "admins", "account_events")
        ]
    for key in (first, second):
        rest = key.split("-", 2)[2]
        assert not any(rest in row for row in rows)
        assert any(key[:11] in row for row in rows)
