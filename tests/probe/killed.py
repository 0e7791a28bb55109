"""Commands of an owner in processes that die at a step: `python -m tests.probe.killed NAME:STEP:FOLDER ...`.

Prints, for each, whether it died there; a command that has fewer steps ends well.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from tests.probe.probes import make_probe, planned, signer

from stillroom.probe.opening import open_plan
from stillroom.probe.recorded import give_pack

STEPS = frozenset(("open", "os.rename", "os.remove", "os.mkdir", "os.link", "os.chmod", "os.truncate", "shutil.rmtree"))
"""What changes files, as Python's audit hooks call it; writes and syncs are counted beside them."""
PAIRS = 12


def gather(folder: Path) -> None:
    make_probe(folder / "probe", PAIRS)


def plan(folder: Path) -> None:
    planned(folder / "probe")


def give(folder: Path) -> None:
    probe = folder / "probe"
    give_pack(probe, "first", folder / "for-ito", "Prof. Ito", signer(probe), "Olga")


def open_coins(folder: Path) -> None:
    probe = folder / "probe"
    open_plan(probe, "first", folder / "answers", signer(probe), "Olga")


COMMANDS = {"gather": gather, "plan": plan, "give": give, "test": open_coins}


def killed_at(step: int, name: str, folder: Path) -> None:
    """For a process of its own, which dies before its step of that number."""
    taken = 0

    def count() -> None:
        nonlocal taken
        taken += 1
        if taken == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if event in STEPS and (event != "open" or writes(arguments)):
            count()

    def torn(descriptor: int, data: bytes, place: int) -> int:
        if taken == step - 1:
            whole["pwrite"](descriptor, data[: len(data) // 2], place)
        count()
        return int(whole["pwrite"](descriptor, data, place))

    def synced(descriptor: int) -> None:
        count()
        whole["fsync"](descriptor)

    whole: dict[str, Any] = {"pwrite": os.pwrite, "fsync": os.fsync}
    vars(os).update(pwrite=torn, fsync=synced)
    sys.addaudithook(heard)
    COMMANDS[name](folder)


def writes(arguments: tuple[Any, ...]) -> bool:
    flags = arguments[2]
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def is_killed(name: str, step: int, folder: Path) -> bool:
    process = os.fork()
    if process == 0:
        killed_at(step, name, folder)
        os._exit(0)
    _, status = os.waitpid(process, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit(f"{name} failed at step {step}")
    return os.WIFSIGNALED(status)


if __name__ == "__main__":
    for each in sys.argv[1:]:
        command, number, place = each.split(":", 2)
        print(is_killed(command, int(number), Path(place)))
