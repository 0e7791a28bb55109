"""A document from a web address that is none, or where nobody answers."""

from __future__ import annotations

import pytest

from stillroom.base.errors import DataError
from stillroom.client.fetch import fetch


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("http://127.0.0.1:1/keys", "Connection refused"),
        ("ftp://x/y", "scheme is not allowed"),
        ("http://[::1", "IPv6"),
        ("http://", "empty host"),
        ("http://127.0.0.1:1/\udcff", "surrogates"),
    ],
)
def test_why_it_cannot_be_read_is_said_in_words(address: str, why: str) -> None:
    with pytest.raises(DataError, match=why) as caught:
        fetch(address, 100)
    assert "{" not in caught.value.what
