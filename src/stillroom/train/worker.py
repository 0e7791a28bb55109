"""One of the processes behind `stillroom.train.launch`: one JSON argument; the first of them reports in lines of JSON.

People use `stillroom train`.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from stillroom.base.errors import StillroomError
from stillroom.base.progress import Progress, Silent


class Reporting:
    """Progress as lines of JSON."""

    def __init__(self) -> None:
        self._file = os.fdopen(os.dup(sys.stdout.fileno()), "w")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints is no report

    def send(self, content: dict[str, Any]) -> None:
        print(json.dumps(content), file=self._file, flush=True)

    def update(self, stage: str, done: int, total: int | None, **facts: object) -> None:
        self.send({"update": [stage, done, total, facts]})

    def say(self, sentence: str) -> None:
        self.send({"say": sentence})


def main() -> None:
    # First of all: loading takes seconds, and who started us may be gone before it is over.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    reporting = Reporting()
    is_first = os.environ.get("RANK", "0") == "0"
    order = json.loads(sys.argv[1])
    from stillroom.train.held_out import HeldOutFiles
    from stillroom.train.run import train_here
    from stillroom.train.settings import TrainSettings

    progress: Progress = reporting if is_first else Silent()
    held_out = order["held_out"]
    try:
        report = train_here(
            Path(order["traces"]),
            Path(order["student"]),
            Path(order["out"]),
            TrainSettings.model_validate(order["settings"]),
            progress,
            held_out=HeldOutFiles(**{name: Path(path) for name, path in held_out.items()}) if held_out else None,
        )
    except StillroomError as error:
        if is_first:
            reporting.send({"error": type(error).__name__, "what": error.what, "remedy": error.remedy})
        sys.exit(error.exit_code)
    if is_first:
        reporting.send({"report": report})


def _end_with_parent() -> None:
    # The pipe gives its end when the last process that holds the other side is gone, killed or not.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(0)


main()
