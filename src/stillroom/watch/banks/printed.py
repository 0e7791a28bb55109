"""The prints of kept banks, made once for each epoch of the keys and kept beside the bank.

WATCH/banks/NAME/prints/PRINT_KEY_ID.parquet
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stillroom import __version__
from stillroom.store.files import replacing
from stillroom.store.secrets import Secrets
from stillroom.text.prints import Prints
from stillroom.text.sketch import PLACES
from stillroom.watch.banks.prints import BankPrints, BankText, least_shared
from stillroom.watch.banks.stored import bank_folder

_COLUMNS: dict[str, pa.DataType] = {"prompt_print": pa.string(), "minhash": pa.binary(PLACES)}
_SCHEMA = pa.schema(_COLUMNS)
_OF_BANK, _MADE_BY = b"stillroom.bank", b"stillroom.version"


def keys_of(secrets: Secrets, print_key_ids: Iterable[str | None]) -> list[Prints]:
    """The keys that calls were printed with, by the ids in their `print_key_id`: those of this secret alone."""
    found = []
    for print_key_id in sorted({each for each in print_key_ids if each}):
        prints = Prints(secrets, print_key_id.rpartition("-")[0])
        if prints.print_key_id == print_key_id:
            found.append(prints)
    return found


def printed_banks(watch: Path, banks: Sequence[BankText], keys: Sequence[Prints]) -> list[BankPrints]:
    """Each bank with each of the keys; kept for the next time. Raises StoreError where they cannot be kept."""
    return [_printed(bank_folder(watch, bank.name), bank, prints) for prints in keys for bank in banks]


def _printed(folder: Path, bank: BankText, prints: Prints) -> BankPrints:
    path = folder / "prints" / f"{prints.print_key_id}.parquet"
    made_from = {_OF_BANK: bank.digest.encode(), _MADE_BY: __version__.encode()}
    kept = _kept(path, made_from)
    if kept is not None:
        sketches: list[Any] = kept["minhash"].to_pylist()
        return BankPrints(
            bank=bank.name,
            print_key_id=prints.print_key_id,
            prompt_prints=pa.array(kept["prompt_print"].to_pylist(), pa.string()),
            sketches=np.frombuffer(b"".join(sketches), np.uint8).reshape(-1, PLACES),
            least=least_shared(bank.questions),
        )
    made = BankPrints.of(bank, prints)
    minhash = pa.array([row.tobytes() for row in made.sketches], pa.binary(PLACES))
    table = pa.table([made.prompt_prints, minhash], schema=_SCHEMA)
    with replacing(path) as temporary:
        pq.write_table(table.replace_schema_metadata(made_from), temporary, write_page_checksum=True)
    return made


def _kept(path: Path, made_from: dict[bytes, bytes]) -> pa.Table | None:
    """None where there are none that were made of these questions by this version: they are made again then."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read()
    except (pa.ArrowException, OSError):
        return None
    metadata = table.schema.metadata or {}
    is_same = all(metadata.get(key) == value for key, value in made_from.items())
    return table if is_same and table.schema.equals(_SCHEMA) else None
