"""What earlier runs settled of a run's requests: looked up before the first call, so that all figures know it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stillroom.base.batches import batched
from stillroom.client.request import ChatRequest
from stillroom.client.retry import is_settled
from stillroom.client.waiting import TAKEN_AT_ONCE
from stillroom.store.journal import Journal


class Earlier:
    """Of the requests that `look` has seen: how many samples have a reply that serves, and which requests are whole,
    having one for each sample. One byte is kept of each request.
    """

    def __init__(self, journal: Journal, addresses: tuple[str, ...]) -> None:
        self._journal, self._addresses = journal, addresses
        self._is_whole = bytearray()
        self.samples = 0
        """That are settled."""
        self.samples_of_whole = 0
        """Those of them that belong to whole requests."""

    def look(self, requests: Iterator[ChatRequest]) -> None:
        """See every request of a run, in its order."""
        for block in batched(requests, TAKEN_AT_ONCE):
            finished = self._journal.finished([key for request in block for key in request.keys])
            for request in block:
                limit = request.settings.max_tokens
                settled = sum(
                    key in finished and is_settled(finished[key], limit, self._addresses, strict_limit=False)
                    for key in request.keys
                )
                is_whole = settled == len(request.keys)
                self._is_whole.append(is_whole)
                self.samples += settled
                self.samples_of_whole += settled if is_whole else 0

    def lacking(self, rows: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        """Of the rows that the requests are made of, in the same order, those whose request is not whole."""
        if not self._is_whole:  # nothing was looked at, since nothing was there
            return iter(rows)
        return (row for row, is_whole in zip(rows, self._is_whole, strict=True) if not is_whole)
