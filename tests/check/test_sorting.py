from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.check import sorting
from stillroom.check.sorting import write_sorted

COLUMNS: list[tuple[str, pa.DataType]] = [("name", pa.string()), ("number", pa.int64()), ("text", pa.string())]
OLDER = pa.schema([pa.field(name, kind) for name, kind in COLUMNS])
SCHEMA = OLDER.append(pa.field("later", pa.float64()))


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows, schema=OLDER), path)
    return path


def ordered(row: dict[str, Any]) -> tuple[bytes, bool, int]:
    return row["name"].encode(), row["number"] is None, row["number"] or 0


def whole(row: dict[str, Any]) -> str:
    return repr(sorted(row.items()))


rows_of_a_table = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(["a", "b", "B", "é", "日本", "\U0001f600", "\uffff", ""]),
            "number": st.none() | st.integers(0, 5),
            "text": st.text(max_size=5),
        }
    ),
    max_size=30,
)


@settings(max_examples=40)
@given(rows_of_a_table, rows_of_a_table, st.integers(1, 9))
def test_rows_of_several_tables_in_order_a_part_at_a_time(
    tmp_path_factory: pytest.TempPathFactory, some: list[dict[str, Any]], others: list[dict[str, Any]], part: int
) -> None:
    folder = tmp_path_factory.mktemp("sorted")
    sources = [written(folder / "some.parquet", some), written(folder / "others.parquet", others)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "PART_ROWS", part)
        write_sorted(sources, SCHEMA, ["name", "number"], folder / "target.parquet")
    result = pq.read_table(folder / "target.parquet")
    assert result.schema.names == SCHEMA.names
    found = [{key: value for key, value in row.items() if key != "later"} for row in result.to_pylist()]
    assert [ordered(row) for row in found] == sorted(map(ordered, [*some, *others]))
    assert sorted(map(whole, found)) == sorted(map(whole, [*some, *others]))
    assert sorted(path.name for path in folder.iterdir()) == ["others.parquet", "some.parquet", "target.parquet"]


def test_few_files_are_open_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = written(tmp_path / "a.parquet", [{"name": "x", "number": -n, "text": "t"} for n in range(1000)])
    monkeypatch.setattr(sorting, "PART_ROWS", 1)
    monkeypatch.setattr(sorting, "MOST_PARTS", 7)
    write_sorted([source], SCHEMA, ["number"], tmp_path / "b.parquet")
    assert pq.read_table(tmp_path / "b.parquet")["number"].to_pylist() == list(range(-999, 1))
