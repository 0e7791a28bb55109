"""The stage: questions.parquet in; ask.sqlite, replies.parquet, attempts.parquet and ask.json out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from stillroom.ask.enough import IsRight
from stillroom.ask.passes import Asking
from stillroom.ask.settings import AskSettings, TeacherSettings
from stillroom.ask.writing import remove_unfinished_replies, write_replies
from stillroom.base.clock import SystemClock
from stillroom.base.errors import BudgetReached, StoreError, TeacherError
from stillroom.base.progress import Progress, Silent
from stillroom.base.records import Reply
from stillroom.client.reply import PARSER_VERSION, parse_reply
from stillroom.client.told_receipt import read_receipt
from stillroom.store.journal import Journal

Again = Literal["truncated", "failed", "refused", "empty"]
LONGER_LIMITS = (4096, 16384, 32768)
"""Token limits that replies cut short are asked again with, one after the other, as far as they are larger."""

_NONE_IS: dict[Again, str] = {
    "truncated": "No reply was cut by a limit below these: nothing was asked again.",
    "failed": "No reply has failed: nothing was asked again.",
    "refused": "No reply was refused: nothing was asked again.",
    "empty": "No reply is empty: nothing was asked again.",
}
_SILENT = Silent()


def ask(
    folder: Path,
    teacher: TeacherSettings,
    settings: AskSettings,
    progress: Progress = _SILENT,
    *,
    is_right: IsRight | None = None,
    again: Again | None = None,
    longer_limits: Sequence[int] = LONGER_LIMITS,
) -> dict[str, Any]:
    """Ask every question of the run in `folder` and write the replies. Returns what ask.json holds.

    Questions that an earlier run of the same settings settled are not asked again, but for replies of status `again`:
    these are, `truncated` ones with `longer_limits` in turn. `is_right` judges answers where the settings say
    `stop_after_right`. Raises StoreError for the run's own files, TeacherError where the teacher will not answer at
    all, BudgetReached at a limit of the settings, RecipeError for an unknown price or a missing key.
    """
    clock = SystemClock()
    started = clock.monotonic()
    with Journal(folder / "ask.sqlite") as journal:
        remove_unfinished_replies(folder)
        journal.rederive(PARSER_VERSION, read_again)
        asking = Asking(folder, teacher, settings, journal, progress, is_right)
        try:
            first = asking.all_questions()
            if again == "truncated":
                asked_again = sum(map(asking.cut_replies, longer_limits))
            elif again is not None:
                asked_again = asking.replies_that_are(again)
            if again is not None and not asked_again and not first.by_status[again]:
                progress.say(_NONE_IS[again])
        except (KeyboardInterrupt, BudgetReached, TeacherError, StoreError) as stop:
            if (note := asking.where_it_stands()) is not None:
                stop.add_note(note)
            if isinstance(stop, StoreError):  # a full disk holds no tables either
                raise
            # What came so far can be checked and trained on: perhaps it is enough.
            write_replies(folder, teacher, settings, journal, clock.monotonic() - started, is_whole=False)
            raise
        return write_replies(folder, teacher, settings, journal, clock.monotonic() - started)


def read_again(reply: Reply) -> Reply:
    """The row that today's reader makes of a reply's raw body. What it cost stays what it was."""
    if reply.http_status is None:
        return reply
    read = parse_reply(reply.raw, reply.http_status, reply.choice)
    changes: dict[str, Any] = {
        name: getattr(read, name)
        for name in ("status", "error_kind", "reasoning_form", "finish_reason", "served_model", "fingerprint")
    }
    if reply.counted_by != "estimate":
        usage = asdict(read.usage)
        changes |= usage | {"counted_by": "provider" if any(value is not None for value in usage.values()) else None}
    if reply.receipt is None:  # one that came in a header is in no body
        changes["receipt"] = read_receipt({}, reply.raw).receipt
    return replace(reply, **changes)
