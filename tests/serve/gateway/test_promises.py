"""Promises over several workers: limits are never passed, a revoked key stops, and a kill loses no call."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.serve.gateway.asking import chat
from tests.serve.gateway.conftest import RunningGateway, running_gateway, wait_until

if TYPE_CHECKING:
    from tests.serve.gateway.conftest import ModelServer, Start


@pytest.mark.usefixtures("whole_day")
def test_of_200_simultaneous_first_requests_on_a_budget_for_10_exactly_10_pass(
    start_gateway: Start, model: ModelServer, database_url: str
) -> None:
    gateway = start_gateway(model.url, workers=2, database=database_url)
    # The most that one call can cost: its prompt, and 90 tokens at 10 USD a million. What it then costs is all of it.
    body = chat({"say": ["x"], "prompt_tokens": 100, "completion_tokens": 90}, max_tokens=90)
    key = gateway.key(usd_per_day="0.010000000")
    barrier = threading.Barrier(200)

    def ask(_: int) -> int:
        barrier.wait()
        return gateway.post("/v1/chat/completions", body, key.key)[0]

    with ThreadPoolExecutor(200) as pool:
        statuses = list(pool.map(ask, range(200)))
    assert sorted(set(statuses)) == [200, 429]
    assert statuses.count(200) == 10
    gateway.stop()
    assert len(gateway.calls()) == 10


def test_a_revoked_key_is_refused_by_both_workers_within_two_seconds(
    start_gateway: Start, model: ModelServer, database_url: str
) -> None:
    gateway = start_gateway(model.url, workers=2, database=database_url)
    key = gateway.key()
    other = gateway.key("other")
    body = chat({"say": ["x"]})
    # A new connection each time: the kernel gives it to either worker.
    assert {gateway.post("/v1/chat/completions", body, key.key)[0] for _ in range(20)} == {200}
    gateway.revoke(key)
    revoked_at = time.monotonic()
    answered_at = []
    while time.monotonic() - revoked_at < 4:
        asked_at = time.monotonic()
        if gateway.post("/v1/chat/completions", body, key.key)[0] == 200:
            answered_at.append(asked_at - revoked_at)
    assert all(seconds < 2 for seconds in answered_at), answered_at
    assert {gateway.post("/v1/chat/completions", body, other.key)[0] for _ in range(20)} == {200}


def test_a_killed_worker_loses_no_call_that_got_a_reply(start_gateway: Start, model: ModelServer) -> None:
    gateway = start_gateway(model.url, workers=2)
    key = gateway.key()
    stop = threading.Event()
    answered: list[str] = []
    lost = [0]

    def ask() -> None:
        while not stop.is_set():
            try:
                status, _, headers = gateway.post("/v1/chat/completions", chat({"say": ["a", "b"]}), key.key)
            except (OSError, HTTPException):
                lost[0] += 1  # the connection ended with its worker
                continue
            assert status == 200
            answered.append(headers["x-stillroom-call"])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        time.sleep(1.5)
        before = gateway.workers()
        os.kill(before[0], signal.SIGKILL)
        _until_restarted(gateway, before[0])
    time.sleep(1)
    wait_until(lambda: len(answered) > 100)
    stop.set()
    for thread in threads:
        thread.join()
    gateway.stop()
    # A worker that is told to stop while it begins leaves what it found to the next one: that is not lost either.
    rows = {row["call_id"]: row for row in gateway.calls_of(key, len(answered))}
    assert not set(answered) - set(rows)
    assert all(rows[call]["status"] in ("ok", "unknown") for call in answered)
    # Every reply that was whole had been settled before it ended.
    assert all(rows[call]["status"] == "ok" for call in answered)
    unknown = [row for row in rows.values() if row["status"] == "unknown"]
    assert len(unknown) <= lost[0] + 8
    assert all(row["prompt_print"] is None and row["prompt_tokens"] is None for row in unknown)


def _until_restarted(gateway: RunningGateway, killed: int) -> None:
    wait_until(lambda: len(gateway.workers()) == 2 and killed not in gateway.workers())


def test_the_log_verifies_after_kills(start_gateway: Start, model: ModelServer) -> None:
    gateway = start_gateway(model.url)
    key = gateway.key()
    for _ in range(3):
        assert gateway.post("/v1/chat/completions", chat({"say": ["a"]}), key.key)[0] == 200
    (worker,) = gateway.workers()
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: gateway.workers() not in ([], [worker]))
    assert json.loads(gateway.get("/health")[1]) == {"status": "ok"}
    gateway.stop()
    assert len(gateway.calls()) == 3


def test_what_a_former_worker_left_is_sealed(tmp_path: Path, model: ModelServer) -> None:
    with running_gateway(tmp_path, model.url, workers=2) as gateway:
        key = gateway.key()
        for _ in range(12):  # new connections: the kernel gives some of them to each worker
            assert gateway.post("/v1/chat/completions", chat({"say": ["a"]}), key.key)[0] == 200
        assert gateway.process is not None
        workers = gateway.workers()
        gateway.process.kill()
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        gateway.process.wait()
    with running_gateway(tmp_path, model.url, workers=1) as gateway:
        wait_until(lambda: len(gateway.calls()) == 12, pause_s=0.3)
