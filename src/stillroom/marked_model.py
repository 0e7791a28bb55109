"""A gateway's model whose replies are marked: its keys, its tokenizer, and what others check a result by.

It stands between the gateway, which marks, and the probe, which looks for marks: stages that do not know each other.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

from sqlalchemy import select

from stillroom.base.clock import SystemClock
from stillroom.base.errors import DataError, UsageError
from stillroom.base.progress import Progress, Silent, loading
from stillroom.classroom.models import teacher_folder
from stillroom.probe.watermark import evidence
from stillroom.probe.watermark.evidence import Material
from stillroom.probe.watermark.green_test import RANDOM_KEYS, GreenTest
from stillroom.probe.watermark.verification import Tokenizer
from stillroom.recipe import CLASSROOM
from stillroom.run_folder import importing_extra
from stillroom.serve.accounts.tables import accounts as account_table
from stillroom.serve.database.address import database_url
from stillroom.serve.database.engine import open_database
from stillroom.serve.keyring import Keyring
from stillroom.serve.settings import GatewaySettings, ModelSettings, read_settings
from stillroom.store.secrets import Secrets
from stillroom.text.green_list import Mark
from stillroom.text.mark_commitments import CommitmentRecord, Marking, commitments_file, first_of, read_commitments

_SILENT = Silent()


class MarkedModel:
    """A gateway's model whose replies are marked, and those of its keys that were committed to."""

    def __init__(self, config: Path, model: str, accounts: list[str] | None, progress: Progress = _SILENT) -> None:
        """`accounts`: their ids; None: all there ever were.

        Raises UsageError for a model that has no marks, DataError where no key was committed to; ModelError and
        StoreError.
        """
        self._settings = read_settings(config, {CLASSROOM: teacher_folder()})
        self._secrets = Secrets.of(self._settings.state)
        chosen = _model_of(self._settings, model)
        assert chosen.folder is not None
        with loading(progress, "tokenizer"):
            self.tokenizer = tokenizer_in(chosen.folder)
        path = commitments_file(self._settings.state)
        lines = read_commitments(path)
        self.commitments = path.read_bytes() if lines else b""
        self.committed: dict[str | None, tuple[Marking, CommitmentRecord]] = {}
        for marking in _markings(self._settings, chosen, accounts, self.tokenizer.digest):
            record = first_of(lines, marking.commitment(marking.mark(self._secrets).key))
            if record is not None:
                self.committed[marking.account] = (marking, record)
        if not self.committed:
            raise DataError(
                f"No key was committed to for {model} as {config} has it: as strong, as large a share, this tokenizer.",
                "Its first marked reply commits to it. Where the file was changed since, take the one of that time.",
            )

    def marks(self) -> dict[str | None, Mark]:
        return {account: marking.mark(self._secrets) for account, (marking, _) in self.committed.items()}

    def write_evidence(self, out: Path, found: GreenTest, material: Material, suspect: str, reveal: bool) -> None:
        """What others check `found` by, whose best score is the one that is told. `reveal`: with its key."""
        best = found.scores[0]
        marking, record = self.committed[best.account]
        keyring = Keyring.open(self._settings.state)
        facts = {
            "suspect": suspect,
            "model": marking.model,
            "account": best.account,
            "accounts": found.accounts,
            "share": marking.share,
            "strength": marking.strength,
            "tokenizer": marking.tokenizer,
            "weights": "each once" if material.unmarked is None else "against unmarked",
            "seed": found.seed,
            "random_keys": RANDOM_KEYS,
            **{name: getattr(best, name) for name in ("z", "green", "p_value")},
            **{name: getattr(found, name) for name in ("at_most", "pairs", "tokens", "answers", "from_question")},
            "commitment": record.index,
            "committed_at": record.at,
            "made_at": SystemClock().now_us(),
        }
        if reveal:
            material = replace(material, key=marking.mark(self._secrets).key)
        evidence.write_evidence(out, facts, material, keyring.jwks(), keyring.active.sign)


def _model_of(settings: GatewaySettings, name: str) -> ModelSettings:
    chosen = next((model for model in settings.models if model.name == name), None)
    if chosen is None or chosen.watermark is None:
        names = [model.name for model in settings.models if model.watermark is not None]
        has = f"It has {', '.join(names)}." if names else "No model of the file has a watermark."
        raise UsageError(f"There is no marked model {name} in the gateway's file.", has)
    return chosen


def _markings(
    settings: GatewaySettings, model: ModelSettings, accounts: list[str] | None, tokenizer: str
) -> list[Marking]:
    mark = model.watermark
    assert mark is not None
    if mark.per == "owner":
        if accounts:
            raise UsageError(f"All accounts have one mark of {model.name}: none can be told.", "Leave --account out.")
        whose: list[str | None] = [None]
    else:
        whose = [*(accounts or _accounts(settings))]
    return [Marking(model.name, account, mark.share, mark.strength, tokenizer) for account in whose]


def _accounts(settings: GatewaySettings) -> list[str]:
    """All there ever were."""
    engine = open_database(database_url(settings))
    try:
        with engine.connect() as connection:
            return list(connection.scalars(select(account_table.c.id).order_by(account_table.c.id)))
    finally:
        engine.dispose()


def tokenizer_in(folder: Path) -> Tokenizer:
    """The tokenizer in a model's folder. Raises ModelError."""
    with importing_extra("train"):
        from stillroom.generate.load import load_tokenizer
        from stillroom.generate.prompt import encode
        from stillroom.generate.tokenizer_digest import tokenizer_digest
    tokenizer, _, _ = load_tokenizer(folder, with_weights=False)
    return Tokenizer(functools.partial(encode, tokenizer), tokenizer_digest(tokenizer))
