"""Whose address a call came from: never one that the client wrote itself, and never our own proxy's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stillroom.store.calls import call_dataset
from stillroom.store.secrets import Secrets
from stillroom.text.prints import Prints
from stillroom.watch.importing.importer import import_calls
from stillroom.watch.importing.mapping import ImportMapping

SECRETS = Secrets(bytes(32))
MAPPING = ImportMapping.model_validate(
    {
        "name": "s",
        "format": "jsonl",
        "trusted_proxies": ["10.0.0.0/8", "2001:db8:ffff::/48"],
        "columns": {"at": "at", "account": "who", "address": {"from": "peer", "forwarded": "xff"}},
    }
)


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
        ("10.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", "203.0.113.9, 192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", "203.0.113.9, 192.0.2.1, 10.9.9.9", "192.0.2.1"),
        ("10.0.0.1", "203.0.113.9,, 10.9.9.9", None),
        ("10.0.0.1", "203.0.113.9, nonsense", None),
        ("10.0.0.1", None, None),
        ("10.0.0.1", "10.0.0.2", None),
        ("192.0.2.1:4711", None, "192.0.2.1"),
        ("10.0.0.1", "192.0.2.1:4711", "192.0.2.1"),
        ("2001:db8:1::5", None, "2001:db8:1::"),
        ("[2001:db8:1::5]:443", None, "2001:db8:1::"),
        ("2001:db8:ffff::1", "2001:db8:2::1", "2001:db8:2::"),
        ("::ffff:192.0.2.9", None, "192.0.2.0"),
        ("203.0.113.9, 192.0.2.1", None, "192.0.2.1"),
        ("203.0.113.9, 192.0.2.1, 10.0.0.1", None, "192.0.2.1"),
        ("unix:", None, None),
        ("localhost", None, None),
        ("-", None, None),
        ("%s" * 1000, None, None),
    ],
)
def test_addresses(tmp_path: Path, peer: str, forwarded: str | None, address: str | None) -> None:
    row = {"at": "2024-10-14T09:00:00Z", "who": "a", "peer": peer, "xff": forwarded}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row), encoding="utf-8")
    import_calls(tmp_path / "rows.jsonl", MAPPING, tmp_path / "out", SECRETS)
    (found,) = call_dataset(tmp_path / "out").to_table().column("ip_print").to_pylist()
    assert found == (None if address is None else Prints(SECRETS, "2024q4").address(address))
