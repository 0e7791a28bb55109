"""Where the counting is done: DuckDB on this machine, or Spark. What is counted is written once, for narwhals.

An engine turns files and tables into lazy frames and frames into files and tables; everything between is narwhals.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

import duckdb
import narwhals as nw
import pyarrow as pa
import pyarrow.parquet as pq

from stillroom.base.errors import StoreError, UsageError

EngineName = Literal["duckdb", "spark"]
BatchFunction = Callable[[pa.RecordBatch], pa.RecordBatch]
Frame = nw.LazyFrame[Any]
MEMORY_MB = 2500
"""What DuckDB may hold by default; what does not fit goes to its folder for temporary files."""
_BATCH_ROWS = 100_000
_KINDS: dict[pa.DataType, nw.dtypes.DType] = {
    pa.string(): nw.String(),
    pa.int64(): nw.Int64(),
    pa.float64(): nw.Float64(),
    pa.bool_(): nw.Boolean(),
}


class TableError(StoreError):
    """A file that an engine cannot read or write."""


class Engine(Protocol):
    def read(self, paths: Sequence[Path], schema: pa.Schema) -> Frame:
        """The columns of `schema` of Parquet files, null where a file lacks one. No paths: no rows."""

    def from_arrow(self, table: pa.Table) -> Frame: ...

    def map_arrow(self, frame: Frame, function: BatchFunction, takes: pa.Schema, gives: pa.Schema) -> Frame:
        """What `function` makes of each batch of rows, in no order. It sees the columns of `takes`; on Spark it is
        pickled and runs elsewhere."""

    def kept(self, frame: Frame) -> AbstractContextManager[Frame]:
        """The same rows, computed once, until the context is left."""

    def collect(self, frame: Frame, schema: pa.Schema) -> pa.Table:
        """All rows, in memory: for what is known to be small."""

    def write(self, frame: Frame, path: Path, schema: pa.Schema) -> int:
        """One Parquet file. Returns how many rows it has."""

    def close(self) -> None: ...


@contextmanager
def open_engine(name: str, scratch: Path, *, memory_mb: int = MEMORY_MB, session: Any = None) -> Iterator[Engine]:
    """`scratch`: a folder for a temporary one, which is removed on leaving. `session`: a SparkSession that is the
    caller's to stop; without one, Spark starts on this machine. Raises UsageError, StoreError.
    """
    if name not in ("duckdb", "spark"):
        raise UsageError(f"There is no engine {name!r}.", "Choose duckdb or spark.")
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".engine.", dir=scratch))
    except OSError as error:
        raise StoreError(f"{scratch} cannot be written: {error.strerror}.", "Mend the folder's rights.") from error
    engine: Engine | None = None
    try:
        if name == "duckdb":
            engine = DuckEngine(folder, memory_mb)
        else:
            from stillroom.watch.spark_engine import SparkEngine

            engine = SparkEngine(folder, memory_mb, session)
        yield engine
    finally:
        if engine is not None:
            engine.close()
        shutil.rmtree(folder, ignore_errors=True)


class DuckEngine:
    def __init__(self, folder: Path, memory_mb: int) -> None:
        settings: dict[str, Any] = {
            "memory_limit": f"{memory_mb}MB",
            "temp_directory": str(folder),
            # Neither rows nor groups are in an order that means anything, and to keep one costs memory.
            "preserve_insertion_order": False,
            # DuckDB 2.0.1 takes sums above a left join with an empty table for what the file's statistics say of single
            # rows, and then drops groups whose sum is greater.
            "disabled_optimizers": "statistics_propagation",
        }
        self._connection = duckdb.connect(":memory:", config=settings)
        self._connection.execute("set enable_progress_bar = false")  # it would write among what a command prints
        self._kept = 0

    def read(self, paths: Sequence[Path], schema: pa.Schema) -> Frame:
        if not paths:
            return self.from_arrow(schema.empty_table())
        names = [str(path) for path in paths]
        with _problems():
            relation = self._connection.read_parquet(names, union_by_name=True)
            return conformed(nw.from_native(relation), schema)

    def from_arrow(self, table: pa.Table) -> Frame:
        return nw.from_native(self._connection.from_arrow(table))

    def map_arrow(self, frame: Frame, function: BatchFunction, takes: pa.Schema, gives: pa.Schema) -> Frame:
        with _problems():
            batches = conformed(frame, takes).to_native().to_arrow_reader(_BATCH_ROWS)
            made = [function(as_schema(batch, takes)) for batch in batches]
        return self.from_arrow(pa.Table.from_batches(made, gives))

    @contextmanager
    def kept(self, frame: Frame) -> Iterator[Frame]:
        self._kept += 1
        name = f"kept_{self._kept}"
        with _problems():
            frame.to_native().create(name)
        try:
            yield nw.from_native(self._connection.table(name))
        finally:
            self._connection.execute(f"drop table {name}")

    def collect(self, frame: Frame, schema: pa.Schema) -> pa.Table:
        with _problems():
            table: pa.Table = conformed(frame, schema).to_native().to_arrow_table()
        return table.cast(schema)

    def write(self, frame: Frame, path: Path, schema: pa.Schema) -> int:
        with _problems():
            conformed(frame, schema).to_native().write_parquet(str(path), compression="zstd")
        return pq.ParquetFile(path).metadata.num_rows

    def close(self) -> None:
        self._connection.close()


def conformed(frame: Frame, schema: pa.Schema) -> Frame:
    """The columns of `schema` in their order and types, null where the frame lacks one."""
    has = set(frame.collect_schema().names())
    columns = []
    for field in schema:
        kind = _KINDS.get(field.type)
        column = nw.col(field.name) if field.name in has else nw.lit(None)
        if kind is None:  # binary: there is nothing to make it from
            columns.append((column if field.name in has else column.cast(nw.Binary())).alias(field.name))
        else:
            columns.append(column.cast(kind).alias(field.name))
    return frame.select(*columns)


def as_schema(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """A batch whose columns are those of `schema`, in what each engine takes for its types."""
    columns = [batch.column(field.name).cast(field.type) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


@contextmanager
def _problems() -> Iterator[None]:
    try:
        yield
    except (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException):
        raise  # ours to mend, not the reader's
    except duckdb.Error as error:
        said = str(error).partition("\n")[0]
        if isinstance(error, duckdb.OutOfMemoryException):
            remedy = "Give it more memory, or free disk for what does not fit."
            raise TableError(f"DuckDB has too little memory: {said}", remedy) from error
        remedy = "Put it back from a backup."
        if "No space left" in said or "Read-only file system" in said:
            remedy = "Free space on its disk, or mend its rights, then run again."
        raise TableError(f"A table cannot be read or written: {said}", remedy) from error
