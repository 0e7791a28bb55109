"""Several machines on one database: their workers are not taken for one another's."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, select

from stillroom.base.errors import StoreError
from stillroom.serve.gateway.left_limits import recover_limits
from stillroom.serve.gateway.machine import machine_id, worker_place
from stillroom.serve.limits.bound import Bound, LimitName, LimitReached
from stillroom.serve.limits.limits import Limits
from stillroom.serve.limits.tables import limit_workers

if TYPE_CHECKING:
    from tests.serve.gateway.conftest import RunningGateway


def test_a_machine_keeps_its_id(tmp_path: Path) -> None:
    one = machine_id(tmp_path)
    assert machine_id(tmp_path) == one
    assert worker_place(tmp_path, "w0") == f"{one}/w0"
    (tmp_path / "other").mkdir()
    assert machine_id(tmp_path / "other") != one
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["machine"]


@pytest.mark.parametrize("data", [b"", b"\xff" * 16, b"short"])
def test_what_is_no_id_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "machine").write_bytes(data)
    with pytest.raises(StoreError, match="machine"):
        machine_id(tmp_path)


def test_a_second_machine_leaves_the_first_ones_calls_open(engine: Engine, tmp_path: Path) -> None:
    places = []
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        places.append(worker_place(tmp_path / name, "w0"))
    bound = [Bound("account", "concurrent", 1)]
    amounts: dict[LimitName, int] = {"concurrent": 1}

    async def both() -> None:
        here, there = (Limits(engine, place) for place in places)
        await here.start()
        call = await here.reserve(bound, amounts)
        await there.start()
        await recover_limits(there, places[1], tmp_path / "there" / "calls")
        with pytest.raises(LimitReached):
            await there.reserve(bound, amounts)
        here.settle(call, {"concurrent": 0})
        await here.close()
        await there.reserve(bound, amounts)
        await there.close()

    asyncio.run(both())


def test_a_second_gateway_on_the_same_folder_ends_nobodys_calls(gateway: RunningGateway) -> None:
    def places() -> list[Any]:
        with gateway.engine.connect() as connection:
            return sorted(connection.scalars(select(limit_workers.c.instance)))

    before = places()
    command = [sys.executable, "-m", "stillroom", "serve", "--config", str(gateway.folder / "gateway.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "in use by process" in done.stderr
    assert before
    assert places() == before
