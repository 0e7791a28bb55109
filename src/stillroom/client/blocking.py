"""Running asynchronous work from ordinary code, in a notebook too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

import uvloop

Result = TypeVar("Result")


def run_to_end(work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`. Ctrl-C cancels it, and is raised once it has let go of what it holds.

    A notebook's thread already runs an event loop, which cannot run a second one: there the work gets its own thread.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _run(work)
    return _run_in_thread(work)


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def _run_in_thread(work: Coroutine[Any, Any, Result]) -> Result:
    cancels: list[Callable[[], object]] = []

    async def cancellable() -> Result:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        cancels.append(lambda: loop.call_soon_threadsafe(task.cancel))
        return await work

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="stillroom") as thread:
        future = thread.submit(_run, cancellable())
        try:
            return future.result()
        except KeyboardInterrupt:
            for cancel in cancels:
                with suppress(RuntimeError):  # it ended in this very moment
                    cancel()
            raise
