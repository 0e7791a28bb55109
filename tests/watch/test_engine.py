from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import narwhals as nw
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from stillroom.base.errors import StoreError, UsageError
from stillroom.watch.engine import Engine, open_engine

_COLUMNS: list[tuple[str, pa.DataType]] = [("account", pa.string()), ("calls", pa.int64()), ("sketch", pa.binary())]
COLUMNS = pa.schema(_COLUMNS)
ROWS = pa.table({"account": ["one", "two", None], "calls": [1, 2, 3], "sketch": [b"a", None, b"c"]}, schema=COLUMNS)


def in_order(table: pa.Table) -> list[dict[str, Any]]:
    return table.sort_by("calls").to_pylist()


def test_files_that_lack_columns_have_nulls_there(duck: Engine, tmp_path: Path) -> None:
    pq.write_table(ROWS, tmp_path / "whole.parquet")
    pq.write_table(pa.table({"calls": pa.array([4], pa.int32()), "other": ["x"]}), tmp_path / "few.parquet")
    read = duck.read([tmp_path / "few.parquet", tmp_path / "whole.parquet"], COLUMNS)
    found = duck.collect(read, COLUMNS)
    assert found.schema == COLUMNS
    assert in_order(found) == [*ROWS.to_pylist(), {"account": None, "calls": 4, "sketch": None}]
    assert duck.collect(duck.read([], COLUMNS), COLUMNS).num_rows == 0


def test_what_is_written_is_what_was_counted(duck: Engine, tmp_path: Path) -> None:
    frame = duck.from_arrow(ROWS).filter(nw.col("calls") > 1)
    assert duck.write(frame, tmp_path / "some.parquet", COLUMNS) == 2
    assert in_order(pq.read_table(tmp_path / "some.parquet")) == ROWS.to_pylist()[1:]
    assert duck.write(frame.filter(nw.col("calls") > 9), tmp_path / "none.parquet", COLUMNS) == 0


def test_batches_go_through_a_function_as_they_are_declared(duck: Engine) -> None:
    takes = pa.schema([COLUMNS.field("sketch"), COLUMNS.field("calls")])
    gives = pa.schema([pa.field("double", pa.int64())])

    def doubled(batch: pa.RecordBatch) -> pa.RecordBatch:
        assert batch.schema == takes
        return pa.RecordBatch.from_arrays([pc.multiply(batch.column("calls"), pa.scalar(2))], schema=gives)

    many = pa.table({"calls": pa.array(range(250_000)), "sketch": pa.array([b"s"] * 250_000)})
    made = duck.collect(duck.map_arrow(duck.from_arrow(many), doubled, takes, gives), gives)
    assert {row["double"] for row in made.to_pylist()} == set(range(0, 500_000, 2))
    assert made.num_rows == 250_000
    empty = duck.map_arrow(duck.from_arrow(many.slice(0, 0)), doubled, takes, gives)
    assert duck.collect(empty, gives).num_rows == 0


def test_what_is_kept_is_computed_once_and_gone_afterwards(duck: Engine) -> None:
    frame = duck.from_arrow(ROWS)
    with duck.kept(frame) as one, duck.kept(one.filter(nw.col("calls") > 1)) as other:
        assert duck.collect(one, COLUMNS).num_rows == 3
        assert duck.collect(other, COLUMNS).num_rows == 2
    with pytest.raises(duckdb.CatalogException, match="does not exist"):
        duck.collect(one, COLUMNS)


def test_more_than_fits_goes_to_a_folder_that_is_removed(tmp_path: Path) -> None:
    many = pa.table({"account": [f"{number:064}" for number in range(400_000)]})
    count = pa.schema([pa.field("accounts", pa.int64())])
    state = tmp_path / "state"
    with open_engine("duckdb", state, memory_mb=40) as engine, engine.kept(engine.from_arrow(many)) as kept:
        each = kept.group_by("account").agg(nw.len())
        assert engine.collect(each.select(nw.len().alias("accounts")), count)["accounts"].to_pylist() == [400_000]
        spilled = [path for path in state.rglob("*") if path.is_file()]
    assert spilled
    assert list(state.iterdir()) == []


def test_too_little_memory_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    many = pa.table({"account": [f"{number:064}" for number in range(400_000)]})
    with open_engine("duckdb", tmp_path, memory_mb=2) as engine:
        each = engine.from_arrow(many).group_by("account").agg(nw.len().alias("calls"))
        with pytest.raises(StoreError, match="memory"):
            engine.collect(each, COLUMNS)


def test_an_engine_that_there_is_not_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'ducks'"), open_engine("ducks", tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"), open_engine("duckdb", tmp_path / "file"):
        pass
