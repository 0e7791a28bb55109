"""What importing calls costs: processor time a row and the most memory, for some rows and for several times as many.

    python benchmarks/watch_import.py [ROWS]

An access log, LiteLLM's spend logs as they are by default, and with prompts of 200 words. Each is imported twice: the
second time every row is there. Memory is that of a process of its own.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from stillroom.store.secrets import Secrets
from stillroom.watch.importing.importer import import_calls
from stillroom.watch.importing.mapping import ImportMapping

_WORDS = ["Alpha", "beta", "gamma", "of", "the", "12", "delta", "Paris", "river", "and", "question", "answer"]
_FIRST = datetime(2024, 10, 10, tzinfo=UTC)


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 400_000
    print(f"{'source':22} {'rows':>10} {'us a row':>9} {'again':>6} {'MB':>5}")
    for kind in ("access log", "spend logs", "spend logs, prompts"):
        for count in (rows // 5, rows):
            subprocess.run([sys.executable, __file__, kind, str(count)], check=True)


def measure(kind: str, count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "source.log"
        with source.open("w", encoding="utf-8") as file:
            file.writelines(_access_log(count) if kind == "access log" else _spend_logs(count, "prompts" in kind))
        mapping = ImportMapping(name="s", format="combined" if kind == "access log" else "litellm")
        times = []
        for _ in range(2):
            began = time.process_time()
            import_calls(source, mapping, folder / "out", Secrets(bytes(32)))
            times.append((time.process_time() - began) / count * 1e6)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{kind:22} {count:10,} {times[0]:9.0f} {times[1]:6.0f} {most:5.0f}")


def _access_log(count: int) -> Iterator[str]:
    drawn = random.Random(1)
    for n in range(count):
        at = _FIRST + timedelta(seconds=n // 50)
        yield (
            f"10.0.{drawn.randrange(256)}.{drawn.randrange(256)} - acct-{drawn.randrange(500)} "
            f'[{at:%d/%b/%Y:%H:%M:%S +0000}] "POST /v1/chat/completions HTTP/1.1" 200 {drawn.randrange(5000)} '
            f'"-" "OpenAI/Python 1.{drawn.randrange(60)}.0"\n'
        )


def _spend_logs(count: int, has_prompts: bool) -> Iterator[str]:
    drawn = random.Random(1)
    for n in range(count):
        at = _FIRST + timedelta(seconds=n / 50)
        key = f"{drawn.randrange(500):064x}"
        body = {"model": "m", "messages": [{"role": "user", "content": " ".join(drawn.choices(_WORDS, k=200))}]}
        row = {
            "request_id": f"chatcmpl-{n}",
            "call_type": "acompletion",
            "api_key": key,
            "spend": 1e-5 * drawn.randrange(100),
            "total_tokens": 38,
            "prompt_tokens": drawn.randrange(1, 1000),
            "completion_tokens": drawn.randrange(1, 1000),
            "startTime": at.isoformat(),
            "endTime": (at + timedelta(seconds=1)).isoformat(),
            "model": "azure/m",
            "model_group": "m",
            "metadata": json.dumps({"user_api_key": key, "user_api_key_user_id": f"u{key[-2:]}", "status": "success"}),
            "request_tags": '["User-Agent: OpenAI", "User-Agent: OpenAI/Python 1.60.0"]',
            "requester_ip_address": f"10.0.{drawn.randrange(256)}.1",
            "status": "success",
            "proxy_server_request": json.dumps(body) if has_prompts else "{}",
        }
        yield json.dumps(row) + "\n"


if __name__ == "__main__":
    if len(sys.argv) == 3:
        measure(sys.argv[1], int(sys.argv[2]))
    else:
        main()
