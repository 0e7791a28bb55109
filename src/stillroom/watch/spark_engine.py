"""The engine on Spark: a session that is given, or one on this machine."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import narwhals as nw
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from stillroom.base.errors import UsageError
from stillroom.watch.engine import BatchFunction, Frame, as_schema, conformed

_BATCH_ROWS = 100_000


class SparkEngine:
    """`folder`: where all of Spark's processes can write; what is counted goes through it."""

    def __init__(self, folder: Path, memory_mb: int, session: Any) -> None:
        self._folder = folder
        self._is_ours = session is None
        self._session = local_session(folder, memory_mb) if session is None else session
        self._written = 0

    def read(self, paths: Sequence[Path], schema: pa.Schema) -> Frame:
        if not paths:
            return self.from_arrow(schema.empty_table())
        reader = self._session.read.schema(_spark_schema(schema))
        return _frame(reader.parquet(*(path.resolve().as_uri() for path in paths)))

    def from_arrow(self, table: pa.Table) -> Frame:
        schema = pa.schema([(field.name, _plain(field.type)) for field in table.schema])
        plain = table.cast(schema)
        return _frame(self._session.createDataFrame(plain, schema=_spark_schema(schema)))

    def map_arrow(self, frame: Frame, function: BatchFunction, takes: pa.Schema, gives: pa.Schema) -> Frame:
        def mapped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                yield function(as_schema(batch, takes))

        native = conformed(frame, takes).to_native()
        with warnings.catch_warnings():
            # Spark looks for pandas here and warns of its version; no pandas is in this.
            warnings.simplefilter("ignore", FutureWarning)
            return _frame(native.mapInArrow(mapped, _spark_schema(gives)))

    @contextmanager
    def kept(self, frame: Frame) -> Iterator[Frame]:
        native = frame.to_native().persist()
        try:
            yield _frame(native)
        finally:
            native.unpersist()

    def collect(self, frame: Frame, schema: pa.Schema) -> pa.Table:
        table: pa.Table = conformed(frame, schema).to_native().toArrow()
        return table.cast(schema)

    def write(self, frame: Frame, path: Path, schema: pa.Schema) -> int:
        self._written += 1
        parts = self._folder / f"written-{self._written}"
        conformed(frame, schema).to_native().write.parquet(parts.resolve().as_uri())
        try:
            rows = 0
            with pq.ParquetWriter(path, schema, compression="zstd") as writer:
                for batch in ds.dataset(parts, schema=schema, format="parquet").to_batches(batch_size=_BATCH_ROWS):
                    writer.write_batch(batch)
                    rows += batch.num_rows
            return rows
        finally:
            shutil.rmtree(parts)

    def close(self) -> None:
        if self._is_ours:
            self._session.stop()


def local_session(folder: Path, memory_mb: int) -> Any:
    """A Spark of this machine, on all its processors. Raises UsageError where pyspark or Java are missing."""
    try:
        from pyspark.errors import PySparkRuntimeError
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise UsageError("Spark is not installed.", 'Install it: pip install "stillroom[scale]".') from error
    builder = SparkSession.builder.master("local[*]").appName("stillroom watch")
    settings = {
        "spark.driver.memory": f"{memory_mb}m",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.local.dir": str(folder),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(os.cpu_count()),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    for key, value in settings.items():
        builder = builder.config(key, value)
    # Spark's own Python processes are found by this variable alone, and must have what this one has.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    on_ctrl_c = signal.getsignal(signal.SIGINT)
    try:
        session = builder.getOrCreate()
    except PySparkRuntimeError as error:
        raise UsageError(f"Spark does not start: {error}", "Install Java 17, and set JAVA_HOME to it.") from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, on_ctrl_c)  # Spark has put its own in its place
    return session


def _frame(native: Any) -> Frame:
    frame: Frame = nw.from_native(native)
    return frame


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_fixed_size_binary(kind):
        return pa.binary()
    return pa.string() if pa.types.is_null(kind) else kind


def _spark_schema(schema: pa.Schema) -> Any:
    from pyspark.sql.pandas.types import from_arrow_schema

    plain = pa.schema([(field.name, _plain(field.type)) for field in schema])
    return from_arrow_schema(plain)
