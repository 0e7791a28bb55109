"""Training's figures as TensorBoard reads them, where its package is installed (`pip install tensorboard`).

Not through `torch.utils.tensorboard`: its thread meets a full disk with a traceback on the screen.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from stillroom.base.progress import Progress

FILE_NAME = "events.out.tfevents"
"""TensorBoard knows its files by the last part, and reads those of a folder in the order of their names."""
FILE_VERSION = "brain.Event:2"
START = 1
"""Of a session log: points from this event's step on, of files before this one, are void."""


class Scalars:
    """Numbers by step, as events in a folder; nothing where TensorBoard is not installed.

    Training never ends because of them: a file that cannot be written is said once.
    """

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._folder, self._progress = folder, progress
        self._file: IO[bytes] | None = None
        self._event, self._records = _tensorboard()
        self._is_over = self._event is None

    def write(self, step: int, values: Mapping[str, float | None]) -> None:
        """Add those values that are known; another process can read them at once.

        The first step that is written takes back whatever an earlier process wrote of it and of later steps: what
        came after the checkpoint that this one goes on from.
        """
        known = [{"tag": tag, "simple_value": float(value)} for tag, value in values.items() if value is not None]
        if self._is_over or not known:
            return
        try:
            if self._file is None:
                self._file = _next_file(self._folder)
                self._add(file_version=FILE_VERSION)
                self._add(step=step, session_log={"status": START})
            self._add(step=step, summary={"value": known})
        except OSError as error:
            self.close()
            self._progress.say(
                f"{self._folder} cannot be written ({error.strerror or error}): training goes on, and its TensorBoard "
                "curves end here."
            )

    def close(self) -> None:
        """Nothing is written afterwards. May be called again."""
        self._is_over = True
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):  # after a write that failed it tries once more
                file.close()

    def _add(self, **event: Any) -> None:
        assert self._file is not None
        self._records(self._file).write(self._event(wall_time=time.time(), **event).SerializeToString())
        self._file.flush()


def _tensorboard() -> tuple[Any, Any]:
    """Its types of an event and of a file of records; None for both where it is not installed."""
    try:
        from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[import-untyped]
        from tensorboard.summary.writer.record_writer import RecordWriter  # type: ignore[import-untyped]
    except (ImportError, TypeError):  # TypeError: an old one beside a protobuf that is too new for it
        return None, None
    return Event, RecordWriter


def _next_file(folder: Path) -> IO[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    numbers = [int(path.suffix[1:]) for path in folder.glob(f"{FILE_NAME}.*") if path.suffix[1:].isdecimal()]
    return (folder / f"{FILE_NAME}.{max(numbers, default=0) + 1:06d}").open("xb")
