"""`stillroom teacher`: a teacher that listens until it is stopped, and then presents its bill."""

from __future__ import annotations

import json
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from stillroom.testing.script import Script, load_script


def run_teacher(script: Path | None, *, port: int, ledger: Path | None, as_json: bool) -> None:
    """Print the address, serve until KeyboardInterrupt, print the books in brief.

    as_json: both as one line of JSON. Raises UsageError (the script), DataError (the ledger), ServeError (the port).
    """
    told = Script() if script is None else load_script(script)
    with told.teacher(port=port, ledger=ledger) as teacher:
        address = {"base_url": teacher.base_url, "models": list(told.models)}
        words = f"Teacher at {teacher.base_url} (model {', '.join(told.models)}). Ctrl-C ends it and shows the bill."
        with suppress(KeyboardInterrupt):
            _print(json.dumps(address) if as_json else words)
            threading.Event().wait()
    summary = teacher.summary()
    _print(json.dumps(summary) if as_json else "\n" + _in_words(summary))


def _in_words(summary: dict[str, Any]) -> str:
    faults: dict[str, int] = summary["by_fault"]
    rows = {
        "requests": f"{summary['requests']:,}",
        "most in flight": f"{summary['most_in_flight']:,}",
        "prompt tokens": f"{summary['prompt_tokens']:,}",
        "completion tokens": f"{summary['completion_tokens']:,}",
        "bill": f"{summary['charged_usd']} USD",
        "answered well": f"{summary['requests'] - sum(faults.values()):,}",
        **{name: f"{count:,}" for name, count in sorted(faults.items(), key=lambda item: -item[1])},
    }
    width = max(map(len, rows))
    return "\n".join(f"{name:{width}}  {value}" for name, value in rows.items())


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
