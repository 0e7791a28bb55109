"""One of the processes behind `stillroom.train.launch`: one JSON argument; the first of them reports in lines of JSON.

People use `stillroom train`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from stillroom.base.child_process import end_with_parent, report_stream
from stillroom.base.errors import StillroomError
from stillroom.base.progress import Progress, Silent


class Reporting:
    """Progress as lines of JSON."""

    def __init__(self) -> None:
        self._file = report_stream()

    def send(self, content: dict[str, Any]) -> None:
        print(json.dumps(content), file=self._file, flush=True)

    def update(self, stage: str, done: int, total: int | None, **facts: object) -> None:
        self.send({"update": [stage, done, total, facts]})

    def say(self, sentence: str) -> None:
        self.send({"say": sentence})


def main() -> None:
    end_with_parent()
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


main()
