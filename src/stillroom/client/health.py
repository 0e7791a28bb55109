"""Whether an address as a whole has failed, so that a run stops after a few calls and not after all of them."""

from __future__ import annotations

from stillroom.base.errors import (
    KeyRefused,
    NoSuchModel,
    OutOfCredit,
    PermitOver,
    PermitRefused,
    TeacherError,
    TeacherUnreachable,
)
from stillroom.client.error_kind import PERMIT_KINDS
from stillroom.client.reply import ParsedReply
from stillroom.client.retry import NOT_ANSWERED, is_transient
from stillroom.client.settings import Endpoint
from stillroom.text.one_line import one_line

FIRST_CALLS = 3
"""Calls that may go unanswered at the start of a run."""
SILENT_CALLS, SILENT_S = 6, 60.0
"""Later: calls in a row without an answer, and seconds of it, before the address counts as gone."""
FAILING_CALLS, FAILING_S = 12, 300.0
"""Calls in a row that were answered by nothing but passing errors, and seconds of it: they are not passing."""
FAILED_ROWS = 8
"""Requests given up before a first one succeeded, before the run is stopped."""
PROBE_AFTER = 3
"""Calls in a row without an answer, after which one call at a time tries whether it is back."""
_LONGEST_BETWEEN_PROBES_S = 20.0

_AGAIN = "Then run the same command again: it goes on where it stopped."
_NEW_PERMIT = f"Have the model's owner issue another, name it in teacher.permit. {_AGAIN}"

_PERMIT_OVER = {
    "permit_spent": ("is spent", _NEW_PERMIT),
    "permit_expired": ("has expired", _NEW_PERMIT),
    "permit_revoked": ("has been revoked", _NEW_PERMIT),
    "permit_not_begun": ("has not begun", f"Wait until it does. {_AGAIN}"),
}
_PERMIT_WRONG = {
    "permit_not_yours": (
        "was not issued for the account of this key",
        "Name the permit of this account, or the key that goes with it.",
    ),
    "permit_model": ("does not hold for this model", "Name a permit for the model in teacher.model, or another model."),
    "permit_refused": ("is not taken", "Have the model's owner look at it."),
}
"""What is said of a permit, and what to do."""


class Health:
    """Hears of every outcome at one address, in order."""

    def __init__(self, endpoint: Endpoint, base_url: str) -> None:
        self._endpoint = endpoint
        self._base_url = base_url
        self._silent_calls = 0
        self._failing_calls = 0
        self._failing_since = 0.0
        self._last_silence = ""
        self._failed_rows = 0
        self._succeeded = False
        self._answered = False
        self._probe_at = 0.0

    @property
    def is_silent(self) -> bool:
        """Nobody answers at the moment: try with one call at a time, from `probe_at` on."""
        return self._silent_calls >= PROBE_AFTER

    @property
    def probe_at(self) -> float:
        return self._probe_at

    def judge(self, outcome: ParsedReply, now: float, *, given_up: bool) -> TeacherError | None:
        """What ends the use of this address, if anything does. `given_up`: this was the request's last call."""
        kind = outcome.error_kind
        if not is_transient(kind) or outcome.status != "failed":
            self._failing_calls = self._silent_calls = 0
            self._answered = True
            return self._judge_answer(outcome, given_up)
        if self._failing_calls == 0:
            self._failing_since = now
        self._failing_calls += 1
        if kind in NOT_ANSWERED:
            return self._judge_silence(outcome, now)
        self._silent_calls = 0
        self._answered = True
        if self._failing_calls >= FAILING_CALLS and now - self._failing_since >= FAILING_S:
            return TeacherError(
                f"{self._base_url} has answered every call with an error for {now - self._failing_since:.0f} s"
                f" ({kind}).{_said(outcome)}",
                _AGAIN.replace("Then run", "Run", 1),
            )
        return self._judge_answer(outcome, given_up)

    def judge_end(self) -> TeacherError | None:
        """What a run that has no more requests ends with: one of few calls may end before silence has ended it."""
        return self._unreachable() if self._silent_calls and not self._answered else None

    def _judge_silence(self, outcome: ParsedReply, now: float) -> TeacherError | None:
        self._silent_calls += 1
        self._last_silence = one_line(outcome.message, 300)
        pause = min(0.5 * 2 ** min(self._silent_calls - PROBE_AFTER, 10), _LONGEST_BETWEEN_PROBES_S)
        self._probe_at = now + pause
        if not self._answered:
            return self._unreachable() if self._silent_calls >= FIRST_CALLS else None
        gone = self._silent_calls >= SILENT_CALLS and now - self._failing_since >= SILENT_S
        return self._unreachable() if gone else None

    def _unreachable(self) -> TeacherUnreachable:
        since = " any longer" if self._answered else ""
        return TeacherUnreachable(
            f"Nobody answers{since} at {self._base_url}: {self._last_silence}.",
            f"Start its server or mend base_url. {_AGAIN}",
        )

    def _judge_answer(self, outcome: ParsedReply, given_up: bool) -> TeacherError | None:
        if outcome.status != "failed":
            self._succeeded = True
            return None
        model, said, kind = self._endpoint.model, _said(outcome), outcome.error_kind or ""
        if kind in ("key_refused", "http_401", "http_403"):
            variable = self._endpoint.api_key_env
            remedy = (
                f"Mend the key in {variable}." if variable else "Name the variable that holds the key: api_key_env."
            )
            return KeyRefused(f"{self._base_url} refused the key.{said}", remedy)
        if kind in ("http_404", "no_model"):
            return NoSuchModel(
                f"{self._base_url} has no model {model}.{said}", "Check `model` and `base_url` (most end in /v1)."
            )
        if kind == "no_credit":
            return OutOfCredit(f"The account at {self._base_url} has no credit left.{said}", f"Add credit. {_AGAIN}")
        if kind in PERMIT_KINDS:
            return _permit_refused(kind, self._endpoint.permit, self._base_url, said)
        if kind.startswith("http_3"):
            return TeacherError(f"{self._base_url} sends elsewhere ({kind}).", "Set base_url to where it sends.")
        # A question that is too long says nothing about the endpoint.
        self._failed_rows += given_up and not self._succeeded and kind != "too_long"
        if self._failed_rows >= FAILED_ROWS:
            return TeacherError(
                f"{model} at {self._base_url} answered none of the first {FAILED_ROWS} requests ({kind}).{said}",
                f"Check the teacher's settings in the recipe. {_AGAIN}",
            )
        return None


def _permit_refused(kind: str, permit: str | None, base_url: str, said: str) -> PermitRefused:
    if kind == "permit_required" or permit is None:
        return PermitRefused(f"{base_url} answers only under a permit.{said}", "Name its file: teacher.permit.")
    if kind in _PERMIT_OVER:
        what, remedy = _PERMIT_OVER[kind]
        return PermitOver(f"The permit {permit} {what}.{said}", remedy)
    what, remedy = _PERMIT_WRONG[kind]
    return PermitRefused(f"{base_url} says that the permit {permit} {what}.{said}", remedy)


def _said(outcome: ParsedReply) -> str:
    return f" It says: {one_line(outcome.message, 300)}" if outcome.message else ""
