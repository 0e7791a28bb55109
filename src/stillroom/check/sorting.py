"""Tables in another order, whatever their size.

In memory are the columns that are sorted by, one number for each row, and one part of the rows at a time: the rows are
first dealt out to files, each of which holds those that come after all of the file before it, and then sorted file by
file. (DuckDB 2.0 does not sort rows with long texts beyond the memory that it is given.)
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from stillroom.store.tables import open_parquet

PART_BYTES, PART_ROWS = 32_000_000, 50_000
"""Of what is sorted at a time: bytes as they lie in the source, where texts that repeat are short, and rows."""
MOST_PARTS = 400
"""Files that are open at a time."""
GROUP_BYTES = 16_000_000
"""Of the rows of one row group of the copy."""
_BATCH = 512
_RANK = "sorted_place"

Ranks = NDArray[np.int64]


def write_sorted(sources: Sequence[Path], schema: pa.Schema, by: Sequence[str], target: Path) -> None:
    """Write the rows of all `sources` to `target`, in ascending order of the columns `by`; nulls come last.

    A column of `schema` that a source does not have is null.
    """
    ranks = _ranks(sources, by)
    parts = min(MOST_PARTS, max(sum(map(_bytes, sources)) // PART_BYTES, len(ranks) // PART_ROWS) + 1)
    size = max(1, -(-len(ranks) // parts))
    with (
        tempfile.TemporaryDirectory(dir=target.parent) as folder,
        pq.ParquetWriter(target, schema, compression="lz4") as writer,
    ):
        for part in _dealt(sources, schema, ranks, size, Path(folder)):
            with pa.OSFile(str(part), "rb") as file:
                rows = pa.ipc.open_stream(file).read_all()
            part.unlink()
            ordered = rows.take(pc.sort_indices(rows[_RANK])).select(schema.names)
            writer.write_table(ordered, row_group_size=max(1, GROUP_BYTES * ordered.num_rows // max(1, ordered.nbytes)))


def _ranks(sources: Sequence[Path], by: Sequence[str]) -> Ranks:
    """The place of each row of the sources, one after the other, in the order that is wanted."""
    keys = pa.concat_tables([pq.read_table(source, columns=list(by)) for source in sources])
    order = pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in by])
    ranks = np.empty(len(order), np.int64)
    ranks[order.to_numpy()] = np.arange(len(order))
    return ranks


def _dealt(sources: Sequence[Path], schema: pa.Schema, ranks: Ranks, size: int, folder: Path) -> Iterator[Path]:
    """Files of `size` rows each, in order, whose rows are in none."""
    dealt = schema.append(pa.field(_RANK, pa.int64()))
    writers: dict[int, pa.RecordBatchStreamWriter] = {}
    with ExitStack() as stack:
        first = 0
        for source in sources:
            for batch in open_parquet(source).iter_batches(_BATCH):
                places = ranks[first : first + batch.num_rows]
                first += batch.num_rows
                rows = _with_columns(batch, schema, places, dealt)
                for part in np.unique(places // size).tolist():
                    if part not in writers:
                        writers[part] = stack.enter_context(pa.ipc.new_stream(str(folder / str(part)), dealt))
                    writers[part].write_batch(rows.filter(pa.array(places // size == part)))
    yield from (folder / str(part) for part in sorted(writers))


def _with_columns(batch: pa.RecordBatch, schema: pa.Schema, places: Ranks, dealt: pa.Schema) -> pa.RecordBatch:
    columns = [
        batch[field.name].cast(field.type) if field.name in batch.schema.names else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays([*columns, pa.array(places)], schema=dealt)


def _bytes(source: Path) -> int:
    groups = pq.read_metadata(source)
    return sum(groups.row_group(index).total_byte_size for index in range(groups.num_row_groups))
