"""The key of a folder without a gateway: made once, private, and every key that signed is remembered."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from stillroom.base.errors import StoreError
from stillroom.base.signatures import open_token
from stillroom.probe.signer import own_signer, public_keys, remember_keys


def test_it_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    one, again = own_signer(tmp_path), own_signer(tmp_path)
    assert one.keys == again.keys
    (path,) = tmp_path.iterdir()
    assert path.stat().st_mode & 0o077 == 0
    assert "d" not in one.keys["keys"][0]
    claims, _ = open_token(again.sign("test+jws", {"a": 1}), "test+jws", public_keys(one.keys, "keys"))
    assert claims == {"a": 1}


def test_keys_that_signed_before_are_kept(tmp_path: Path) -> None:
    one, other = own_signer(tmp_path), own_signer(tmp_path / "other")
    remember_keys(tmp_path, one)
    both = remember_keys(tmp_path, other)
    assert [each["kid"] for each in both["keys"]] == [each.keys["keys"][0]["kid"] for each in (one, other)]
    assert remember_keys(tmp_path, one) == both
    assert orjson.loads((tmp_path / "keys.json").read_bytes()) == both


@pytest.mark.parametrize("junk", [b"", b"[]", b"{}", b'{"kty": "oct", "k": "AAAA"}', b"\xff"])
def test_a_file_that_is_no_key_is_told(tmp_path: Path, junk: bytes) -> None:
    own_signer(tmp_path)
    (tmp_path / "signing-key.json").write_bytes(junk)
    with pytest.raises(StoreError, match=r"signing-key\.json is no"):
        own_signer(tmp_path)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    own_signer(tmp_path)
    (tmp_path / "signing-key.json").chmod(0o644)
    with pytest.raises(StoreError, match="can be read by others"):
        own_signer(tmp_path)


@pytest.mark.parametrize("written", ["{}", '{"keys": 5}', '{"keys": [{}]}', '{"keys": [{"kid": []}]}', "[]"])
def test_a_set_of_keys_that_is_none_is_told_of(tmp_path: Path, written: str) -> None:
    signer = own_signer(tmp_path)
    (tmp_path / "keys.json").write_text(written)
    with pytest.raises(StoreError, match=r"keys\.json"):
        remember_keys(tmp_path, signer)
