"""Many long streams at once: processor time for a thousand chunks, and memory."""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmarks.ask_contenders.environments import Environment
from benchmarks.ask_contenders.measured import MEMORY_EVERY_S, contender, cpu_s, memory_mb
from benchmarks.ask_contenders.stream_server import stream_server

STREAMS, CHUNKS = 200, 6_000


@dataclass(frozen=True)
class StreamFigures:
    seconds: float
    """From the first chunk until the contender is done with all replies."""
    cpu_ms_per_1000_chunks: float
    memory_mb: float


def measure_streams(
    module: str, environment: Environment, chunks: int, chunks_per_s: float, streams: int = STREAMS
) -> StreamFigures:
    with stream_server(streams, chunks, chunks_per_s) as server, contender(module, environment) as process:
        process.begin(server.base_url, 0, streams, streams)
        process.go()
        if not server.all_asked.wait(300):
            raise SystemExit(f"{module} did not ask {streams} questions at once.")
        begun, cpu_before = time.perf_counter(), cpu_s(process.pid)
        memory = 0.0
        is_done = False
        while not is_done:
            memory = max(memory, memory_mb(process.pid))
            is_done = process.is_done(MEMORY_EVERY_S)
        seconds, cpu = time.perf_counter() - begun, cpu_s(process.pid) - cpu_before
        process.end()
    return StreamFigures(seconds, 1000 * cpu / (streams * chunks / 1000), memory)
