"""Whether the endpoint as a whole has failed, so that a run stops after a few calls and not after all of them."""

from __future__ import annotations

from stillroom.base.errors import KeyRefused, NoSuchModel, TeacherError, TeacherUnreachable
from stillroom.client.reply import ParsedReply
from stillroom.client.settings import Endpoint

FIRST_CALLS = 3
"""Calls that may go unanswered at the start of a run."""
SILENT_ROWS = 8
"""Requests in a row given up because nobody answered, before the run is stopped."""
FAILED_ROWS = 8
"""Requests given up before a first one succeeded, before the run is stopped."""

_NOT_ANSWERED = {"connect", "connection", "timeout"}
_AGAIN = "Then run the same command again: it goes on where it stopped."


class Health:
    """Hears of every outcome of a run, in order."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._unanswered_calls = 0
        self._last_silence = ""
        self._silent_rows = 0
        self._failed_rows = 0
        self._succeeded = False
        self.answered = False

    def judge(self, outcome: ParsedReply, *, given_up: bool) -> TeacherError | None:
        """What ends the run, if anything does. `given_up`: there will be no further call for this request."""
        if outcome.error_kind in _NOT_ANSWERED:
            return self._judge_silence(outcome, given_up)
        self.answered = True
        self._silent_rows = 0
        if outcome.status != "failed":
            self._succeeded = True
            return None
        return self._judge_error(outcome, given_up)

    def _judge_silence(self, outcome: ParsedReply, given_up: bool) -> TeacherError | None:
        self._unanswered_calls += 1
        self._last_silence = outcome.message
        self._silent_rows += given_up
        at_start = not self.answered and self._unanswered_calls >= FIRST_CALLS
        return self._unreachable() if at_start or self._silent_rows >= SILENT_ROWS else None

    def judge_end(self) -> TeacherError | None:
        """What a run that has no more requests ends with: one of few calls may end before silence has ended it."""
        return self._unreachable() if self._unanswered_calls and not self.answered else None

    def _unreachable(self) -> TeacherUnreachable:
        since = " any longer" if self.answered else ""
        return TeacherUnreachable(
            f"Nobody answers{since} at {self._endpoint.base_url}: {self._last_silence}.",
            f"Start the teacher or mend base_url. {_AGAIN}",
        )

    def _judge_error(self, outcome: ParsedReply, given_up: bool) -> TeacherError | None:
        model, base_url = self._endpoint.model, self._endpoint.base_url
        said = f" It says: {outcome.message}" if outcome.message else ""
        kind = outcome.error_kind or ""
        if kind in ("http_401", "http_403"):
            variable = self._endpoint.api_key_env
            remedy = (
                f"Mend the key in {variable}." if variable else "Name the variable that holds the key: api_key_env."
            )
            return KeyRefused(f"{base_url} refused the key.{said}", remedy)
        if kind in ("http_404", "no_model"):
            return NoSuchModel(
                f"{base_url} has no model {model}.{said}", "Check `model` and `base_url` (most end in /v1)."
            )
        if kind == "no_credit":
            return TeacherError(f"The account at {base_url} has no credit left.{said}", f"Add credit. {_AGAIN}")
        if kind.startswith("http_3"):
            return TeacherError(f"{base_url} sends elsewhere ({kind}).", "Set base_url to where it sends.")
        # A question that is too long says nothing about the endpoint.
        self._failed_rows += given_up and not self._succeeded and kind != "too_long"
        if self._failed_rows >= FAILED_ROWS:
            return TeacherError(
                f"{model} at {base_url} answered none of the first {FAILED_ROWS} requests ({kind}).{said}",
                f"Check the teacher's settings in the recipe. {_AGAIN}",
            )
        return None
