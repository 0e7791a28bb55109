"""Training in several processes: started here by torchrun, one for each GPU, and listened to."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import torch

from stillroom.base import errors
from stillroom.base.errors import ModelError, StillroomError
from stillroom.base.progress import Progress
from stillroom.train.held_out import HeldOutFiles
from stillroom.train.settings import TrainSettings

WORKER = "stillroom.train.worker"


def processes_of(settings: TrainSettings) -> int:
    """How many train together. Raises ModelError where there are more than GPUs, if there are any."""
    gpus = torch.cuda.device_count()
    if settings.processes is not None and 1 < gpus < settings.processes:
        raise ModelError(f"train.processes is {settings.processes}, and there are {gpus} GPUs.", "Lower it.")
    return settings.processes or max(1, gpus)


def train_together(
    processes: int,
    traces: Path,
    student: Path,
    out: Path,
    settings: TrainSettings,
    progress: Progress,
    *,
    held_out: HeldOutFiles | None,
) -> dict[str, Any]:
    """What `stillroom.train.run.train_here` does, in several processes of this machine. They end when this one does.

    Raises what the first of them raises; ModelError, with its last words, where one of them dies.
    """
    order = {
        "traces": str(traces),
        "student": str(student),
        "out": str(out),
        "settings": settings.model_dump(mode="json"),
        "held_out": {name: str(path) for name, path in asdict(held_out).items()} if held_out else None,
    }
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            [*command, "--module", WORKER, json.dumps(order)],
            stdin=subprocess.PIPE,  # closed when we end, however we do: the workers end then
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # Ctrl+C in the terminal is ours to handle
        ) as launcher,
    ):
        assert launcher.stdin is not None
        assert launcher.stdout is not None
        try:
            report = _listen(launcher.stdout, progress)
        finally:
            launcher.stdin.close()
            launcher.wait()
        if report is None:
            raise ModelError(
                f"One of {processes} processes that trained together died: {_last_words(log)}",
                "The same command goes on from the last checkpoint; train.processes: 1 trains in one process.",
            )
    return report


def _listen(lines: IO[bytes], progress: Progress) -> dict[str, Any] | None:
    """Pass on what the first process says, until its report; None where it ends without one."""
    for line in lines:
        try:
            said = json.loads(line)
        except ValueError:
            continue  # the launcher's own words
        match said:
            case {"update": [str() as stage, int() as done, total, dict() as facts]}:
                progress.update(stage, done, total, **facts)
            case {"say": str() as sentence}:
                progress.say(sentence)
            case {"error": str() as name, "what": str() as what, "remedy": str() as remedy}:
                kind = getattr(errors, name, StillroomError)
                raise kind(what, remedy)
            case {"report": dict() as report}:
                return report
    return None


def _last_words(log: IO[bytes]) -> str:
    """The last line that a worker wrote: behind it the launcher tells at length that it died."""
    log.seek(0)
    lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    told = next((at for at, line in enumerate(lines) if "failed (exitcode" in line), len(lines))
    return lines[told - 1] if told else "it said nothing."
