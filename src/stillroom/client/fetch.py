"""A small document from a web address."""

from __future__ import annotations

from datetime import timedelta

from pyreqwest.client import SyncClientBuilder
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.http import Url

from stillroom.base.errors import DataError
from stillroom.client.transport import causes_of, is_loopback

_TIMEOUT_S = 30


def fetch(address: str, most_bytes: int) -> bytes:
    """GET a document.

    Raises DataError where nobody answers, another status than 200 comes, or more than `most_bytes`.
    """
    builder = SyncClientBuilder().timeout(timedelta(seconds=_TIMEOUT_S)).follow_redirects(False).user_agent("stillroom")
    if is_loopback(address):
        builder = builder.no_proxy()
    remedy = "Mend the address, or give a file."
    try:
        with builder.build() as client, client.get(Url(address)).build_streamed() as response:
            if response.status != 200:
                raise DataError(f"{address} answered with status {response.status}.", remedy)
            data = bytes(response.body_reader.read(most_bytes + 1) or b"")
    except PyreqwestError as error:
        why = [error.message, *causes_of(error)][-1]
        raise DataError(f"{address} cannot be read: {why}.", remedy) from error
    except ValueError as error:  # it is no address
        raise DataError(f"{address} cannot be read: {error}.", remedy) from error
    if len(data) > most_bytes:
        raise DataError(f"{address} sends more than {most_bytes:,} bytes.", remedy)
    return data
