"""One address of a teacher: its connections, its pace, its health."""

from __future__ import annotations

from dataclasses import replace

from stillroom.base.clock import Clock
from stillroom.base.errors import TeacherError
from stillroom.client.health import Health
from stillroom.client.pacing import PaceController, PaceLimits, Result, Sent
from stillroom.client.rate_headers import NO_RATE_HEADERS, RateHeaders, read_rate_headers
from stillroom.client.reply import ParsedReply, parse_replies
from stillroom.client.retry import NOT_ANSWERED, REFUSED
from stillroom.client.settings import Endpoint
from stillroom.client.transport import CHAT, Answered, NotAnswered, Transport

LONGEST_WAIT_S = 3600.0


class Lane:
    def __init__(self, endpoint: Endpoint, base_url: str, limits: PaceLimits, clock: Clock, route: str = CHAT) -> None:
        self.base_url = base_url
        self.transport = Transport(endpoint, base_url, route)
        self.pace = PaceController(limits, clock.monotonic())
        self.closed: TeacherError | None = None
        """Why nothing is sent here any more."""
        self._health = Health(endpoint, base_url)
        self._clock = clock

    def room(self, now: float, tokens: int = 0) -> int:
        """Calls that may be sent now."""
        if self.closed is not None:
            return 0
        if self._health.is_silent:
            if self.pace.in_flight or now < self._health.probe_at:
                return 0
            return min(1, self.pace.room(now, tokens))
        return self.pace.room(now, tokens)

    def opens_at(self, now: float, tokens: int = 0) -> float | None:
        """When time alone makes room; None where only a reply can."""
        if self.closed is not None:
            return None
        if self._health.is_silent:
            if self.pace.in_flight:
                return None
            by_pace = self.pace.opens_at(now, tokens)
            return None if by_pace is None else max(self._health.probe_at, by_pace)
        return self.pace.opens_at(now, tokens)

    def begun(self, place: Sent) -> None:
        """A stream has begun to come."""
        self.pace.begun(self._clock.monotonic(), place)

    def read(self, answer: Answered | NotAnswered, most: int) -> tuple[ParsedReply, ...]:
        """What came, `most` choices of it at most. Where it repeats the key, that is taken out, of its body too."""
        if isinstance(answer, NotAnswered):
            return (ParsedReply("failed", answer.error_kind, answer.detail),)
        parsed = parse_replies(answer.body, answer.http_status, most)
        secret = self.transport.secret
        if secret.is_in(text for one in parsed for text in (one.answer, one.reasoning, one.message)):
            answer.body = secret.without_pieces(answer.body)
            parsed = parse_replies(answer.body, answer.http_status, most)
        return parsed

    def returned(
        self,
        place: Sent,
        now: float,
        answer: Answered | NotAnswered,
        outcome: ParsedReply,
        tokens_used: int | None,
        *,
        given_up: bool,
    ) -> TeacherError | None:
        """Hear of an outcome. Returns what closes this address, if this does."""
        headers = read_rate_headers(answer.headers, self._clock.now_us())
        if headers is not NO_RATE_HEADERS:
            headers = _believable(headers)
        self.pace.returned(now, place, _result(outcome), headers, tokens_used)
        closes = self._health.judge(outcome, now, given_up=given_up)
        self.closed = self.closed or closes
        return closes

    def judge_end(self) -> TeacherError | None:
        return self._health.judge_end()


def _believable(headers: RateHeaders) -> RateHeaders:
    """A server may ask for a thousand years; after an hour it is asked again."""
    requests, tokens = (
        told and replace(told, reset_s=None if told.reset_s is None else min(told.reset_s, LONGEST_WAIT_S))
        for told in (headers.requests, headers.tokens)
    )
    wait_s = headers.retry_after_s
    return RateHeaders(None if wait_s is None else min(wait_s, LONGEST_WAIT_S), requests, tokens)


def _result(outcome: ParsedReply) -> Result:
    kind = outcome.error_kind
    if kind in NOT_ANSWERED:
        return "silent"
    if kind in REFUSED:
        return "refused"
    return "failed" if kind is not None and kind.startswith("http_5") else "answered"
