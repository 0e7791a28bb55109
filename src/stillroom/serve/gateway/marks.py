"""With which key a call's reply is marked, where the model's are: committed to before the first one is written."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from stillroom.base.clock import Clock, SystemClock
from stillroom.serve.keyring import Keyring
from stillroom.serve.mark_header import mark_header
from stillroom.serve.settings import GatewaySettings
from stillroom.store.secrets import Secrets
from stillroom.text.mark_commitments import RECORD_TYPE, Marking, commit

_NOTHING: Mapping[str, str] = {}


class Marks:
    """Of a worker. `tokenizers`: for each model that is marked, the digest of its tokenizer."""

    def __init__(
        self,
        settings: GatewaySettings,
        secrets: Secrets,
        keyring: Keyring,
        tokenizers: Mapping[str, str],
        clock: Clock | None = None,
    ) -> None:
        self._watermarks = {model.name: model.watermark for model in settings.models if model.watermark is not None}
        self._state: Path = settings.state
        self._secrets, self._keyring, self._tokenizers = secrets, keyring, tokenizers
        self._clock = clock or SystemClock()
        self._headers: dict[tuple[str, str | None], Mapping[str, str]] = {}
        """Of the keys that are known to be committed to."""

    async def headers(self, model: str, account: str) -> Mapping[str, str]:
        """What the model's server is told beside the request; nothing for a model whose replies are not marked.

        The commitment to the key is on the disk when this returns. Raises StoreError where it can't be.
        """
        watermark = self._watermarks.get(model)
        if watermark is None:
            return _NOTHING
        whose = account if watermark.per == "account" else None
        known = self._headers.get((model, whose))
        if known is None:
            marking = Marking(model, whose, watermark.share, watermark.strength, self._tokenizers[model])
            key = marking.mark(self._secrets).key
            await asyncio.to_thread(self._commit, marking.commitment(key))
            known = self._headers[(model, whose)] = mark_header(key)
        return known

    def _commit(self, commitment: str) -> None:
        commit(
            self._state, commitment, self._clock.now_us(), lambda record: self._keyring.active.sign(RECORD_TYPE, record)
        )
