"""The worker's side of sealing: what is in which order, so that a kill in between loses and doubles nothing.

1. A process of its own writes the tables into a folder with a name that nobody reads.
2. The folder gets its name.
3. The record is signed and appended to the chain: from here on the segment is sealed.
4. The open segment is deleted.

A segment that has no record in the chain is sealed again from the start; one that has, only loses its open file.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

from stillroom.base.child_process import child_process
from stillroom.base.errors import StoreError
from stillroom.serve.meter.chain import Sign, append_record, read_chain, sealed_numbers
from stillroom.serve.meter.segment_file import open_segments, sealed_folder, segment_number
from stillroom.store.files import sync


def clear_unfinished(folder: Path) -> None:
    """Take away what processes that were killed left of preparing and sealing segments."""
    for part in folder.glob(".*.part"):
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink()


def seal_before(folder: Path, number: int, sign: Sign | None) -> None:
    """Seal the open segments of a worker's folder whose number is lower, in their order.

    Only the process that holds the folder may do so. Raises StoreError or ServeError; what is sealed then stays so.
    """
    for path in open_segments(folder):
        if segment_number(path) < number:
            _seal(path, sign)


def written_by_a_child(path: Path, folder: Path) -> dict[str, Any]:
    """`sealing.seal` in a process of its own. Raises ServeError, in its words."""
    order = {"path": str(path.absolute()), "folder": str(folder.absolute())}
    with child_process("stillroom.serve.meter.sealing", order, f"The sealing of {path}") as child:
        return child.ready


def _seal(path: Path, sign: Sign | None) -> None:
    folder, number = path.parent, segment_number(path)
    sealed = sealed_folder(folder, number)
    # Under a new name each time: a killed worker's child may go on writing until it sees that it is alone.
    part = sealed.with_name(f".{sealed.name}.{os.urandom(4).hex()}.part")
    try:
        if number not in sealed_numbers(read_chain(folder)):
            for older in folder.glob(f".{sealed.name}.*.part"):
                shutil.rmtree(older, ignore_errors=True)
            report = written_by_a_child(path, part)
            if sealed.exists():  # from a process that was killed before the chain had its record
                shutil.rmtree(sealed)
            part.replace(sealed)
            sync(folder)
            record = {
                "v": 1,
                "kind": "segment",
                "worker": folder.name,
                "segment": number,
                "at": time.time_ns() // 1000,
                **report,
            }
            append_record(folder, record, sign)
        path.unlink()
    except OSError as error:
        raise StoreError(
            f"{sealed} cannot be written: {error.strerror or error}.", "Free space on its disk."
        ) from error
