from __future__ import annotations

import asyncio

import pytest

from stillroom.client.blocking import run_to_end


async def _double(number: int) -> int:
    await asyncio.sleep(0)
    if number < 0:
        raise ValueError("negative")
    return 2 * number


def test_from_ordinary_code() -> None:
    assert run_to_end(_double(2)) == 4
    with pytest.raises(ValueError, match="negative"):
        run_to_end(_double(-1))


def test_from_code_that_a_loop_runs_as_in_a_notebook() -> None:
    async def cell() -> int:
        with pytest.raises(ValueError, match="negative"):
            run_to_end(_double(-1))
        return run_to_end(_double(3))

    assert asyncio.run(cell()) == 6
