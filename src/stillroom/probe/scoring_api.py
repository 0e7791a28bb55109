"""How likely a model behind an API holds each of a pair's two replies, where the API scores the text that it is given.

That is /v1/completions with `echo` and `logprobs`, as vLLM and stillroom's own server have it. Both replies of a pair
go in one call, as tokens: so no other tokenizer splits them, and none adds to them.
"""

from __future__ import annotations

import asyncio
import math
import random
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from stillroom.base.canonical import digest
from stillroom.base.clock import SystemClock
from stillroom.base.errors import DataError, TeacherError
from stillroom.client.blocking import run_to_end
from stillroom.client.error_kind import error_of, read_error
from stillroom.client.lane import Lane
from stillroom.client.pacing import PaceLimits
from stillroom.client.reply import ParsedReply
from stillroom.client.retry import is_put_off, is_transient, wait_s
from stillroom.client.settings import Endpoint
from stillroom.client.stream import index_of, read_json
from stillroom.client.transport import Answered, NotAnswered
from stillroom.generate.load import load_tokenizer
from stillroom.probe.likelihood import Which
from stillroom.probe.score_journal import ScoreJournal, Sums
from stillroom.probe.scored_text import ScoredPair, scored_pairs
from stillroom.store.siblings import Likelihood, Pair
from stillroom.text.one_line import one_line

JOURNAL = "scoring.sqlite"
LOOK_AGAIN_S = 0.05
_LEAST = -1e6
"""Of one token: where a server hides how rare one is, it says some -10,000."""
SCORED_BY = (
    "Name an endpoint whose /v1/completions takes echo with logprobs (vLLM's, stillroom serve's), or its folder."
)
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
"""How some tokenizers write a token of one byte, such as the end of a line."""
OnProgress = Callable[[int, int], None]


def api_likelihoods(
    pairs: Sequence[Pair],
    endpoint: Endpoint,
    tokenizer_folder: Path,
    which: Which,
    folder: Path,
    *,
    concurrency: int = 8,
    retries: int = 5,
    on_progress: OnProgress | None = None,
) -> list[Likelihood]:
    """As `likelihood.likelihoods`, by an endpoint; `tokenizer_folder` has the model's tokenizer and chat template.

    What was scored before, by the same model and with `folder`, is not asked again. A pair that the endpoint cannot
    take (it is longer than what the server reads) is nan. `on_progress` is told (pairs done, of so many). Raises
    TeacherError where the endpoint does not answer or scores no given text, DataError where its tokens are not those
    of `tokenizer_folder`, and ModelError for that folder.
    """
    tokenizer, end_ids, context = load_tokenizer(tokenizer_folder, with_weights=False)
    scored = scored_pairs(pairs, tokenizer, end_ids, context - 1)  # a server writes a token behind them

    def text_of(tokens: Sequence[int]) -> str:
        return str(tokenizer.backend_tokenizer.decode(list(tokens), skip_special_tokens=False))

    with ScoreJournal(folder / JOURNAL) as journal:
        scoring = _Scoring(endpoint, journal, text_of, concurrency, retries, on_progress)
        return run_to_end(scoring.all(scored, which))


@dataclass(slots=True)
class _Scoring:
    endpoint: Endpoint
    journal: ScoreJournal
    text_of: Callable[[Sequence[int]], str]
    concurrency: int
    retries: int
    on_progress: OnProgress | None

    async def all(self, scored: Sequence[ScoredPair], which: Which) -> list[Likelihood]:
        asked = [pair for pair in scored if pair.tokens]
        # The shortest first: where it is refused, the endpoint takes none.
        todo = sorted((pair for pair in asked if self.key(pair) not in self.journal), key=lambda pair: pair.tokens)
        clock = SystemClock()
        lane = Lane(self.endpoint, self.endpoint.base_url, PaceLimits(self.concurrency), clock, "completions")
        done = len(asked) - len(todo)

        async def work(waiting: Iterator[ScoredPair]) -> None:
            nonlocal done
            for pair in waiting:
                sums = await self.score(pair, lane, clock)
                self.journal.put(self.key(pair), sums, clock.now_us())
                done += 1
                if self.on_progress is not None:
                    self.on_progress(done, len(asked))

        async with lane.transport:
            await work(iter(todo[:1]))
            waiting = iter(todo[1:])
            await _all_or_none([work(waiting) for _ in range(self.concurrency)])
        return [self.row(pair, which) for pair in scored]

    def row(self, pair: ScoredPair, which: Which) -> Likelihood:
        found = self.journal.get(self.key(pair)) if pair.tokens else None
        if found is None or found.first is None or found.second is None:
            return Likelihood(pair.pair_id, which, math.nan, math.nan, 0, found and found.asked_at)
        return Likelihood(pair.pair_id, which, found.first, found.second, pair.tokens, found.asked_at)

    def key(self, pair: ScoredPair) -> str:
        return digest([self.endpoint.model, self.endpoint.extra_body, pair.prompt, pair.first, pair.second])

    async def score(self, pair: ScoredPair, lane: Lane, clock: SystemClock) -> Sums | None:
        """None where the endpoint cannot take this pair."""
        body = self.body(pair)
        retry, draw = 0, random.Random()
        while True:
            while lane.room(clock.monotonic()) < 1:
                await asyncio.sleep(LOOK_AGAIN_S)
            place = lane.pace.sent(clock.monotonic(), 0)
            answer = await lane.transport.send(body, uuid.uuid4().hex)
            outcome = _outcome(answer)
            again = is_transient(outcome.error_kind) and (is_put_off(outcome.error_kind, 1) or retry < self.retries)
            closes = lane.returned(place, clock.monotonic(), answer, outcome, None, given_up=not again)
            if closes is not None:
                raise closes
            if outcome.status == "ok":
                return self.sums(pair, answer.body)
            if not again:
                self.refuse_all(outcome)
                return None
            retry += not is_put_off(outcome.error_kind, 1)
            await asyncio.sleep(wait_s(retry, draw))

    def body(self, pair: ScoredPair) -> bytes:
        return orjson.dumps(
            {
                "model": self.endpoint.model,
                "prompt": [pair.prompt + pair.first, pair.prompt + pair.second],
                "echo": True,
                "logprobs": 1,
                "max_tokens": 1,
                "temperature": 0,
                **self.endpoint.extra_body,
            }
        )

    def refuse_all(self, outcome: ParsedReply) -> None:
        """Raises TeacherError unless it is this pair alone that is refused: where none was taken, none will be."""
        if is_transient(outcome.error_kind):
            raise TeacherError(
                f"{self.endpoint.model} at {self.endpoint.base_url} fails again and again ({outcome.error_kind}).",
                "Run the same command again: it goes on where it stopped.",
            )
        if not self.journal.has_sums and outcome.error_kind != "too_long":
            raise self.scores_nothing(f" It says: {one_line(outcome.message, 300)}" if outcome.message else "")

    def scores_nothing(self, said: str = "") -> TeacherError:
        name = f"{self.endpoint.model} at {self.endpoint.base_url}"
        return TeacherError(f"{name} does not say how likely a text is that it is given.{said}", SCORED_BY)

    def sums(self, pair: ScoredPair, body: bytes) -> Sums:
        told = read_json(body)
        listed = told.get("choices") if isinstance(told, dict) else None
        choices = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
        if len(choices) != 2:
            raise self.scores_nothing(f" {len(choices)} choices came for two prompts.")
        by_place = {index_of(each, place): each for place, each in enumerate(choices)}
        first, second = (
            self.sum_of(by_place.get(place), len(pair.prompt), reply)
            for place, reply in enumerate((pair.first, pair.second))
        )
        # Texts that are alike may differ in the last digits, from one place of a batch to another.
        return Sums(first, first if pair.first == pair.second else second)

    def sum_of(self, choice: dict[str, Any] | None, prompt: int, reply: list[int]) -> float:
        """Of the reply's tokens, behind `prompt` tokens."""
        told = (choice or {}).get("logprobs")
        listed = told.get("token_logprobs") if isinstance(told, dict) else None
        length = prompt + len(reply)
        # The prompt's, and that of the token that was written behind it, where one was.
        if not isinstance(listed, list) or len(listed) not in (length, length + 1):
            raise self.scores_nothing()
        scores = listed[prompt:length]
        if not all(isinstance(score, (int, float)) and _LEAST <= score <= 0 for score in scores):
            raise self.scores_nothing(" What came of some tokens is no logarithm of a probability.")
        assert isinstance(told, dict)
        self.refuse_other_tokens(told.get("tokens"), prompt, reply)
        return math.fsum(scores)

    def refuse_other_tokens(self, tokens: Any, prompt: int, reply: list[int]) -> None:
        """By letters and digits, which every server writes alike; where the text has others, it is not compared."""
        text = self.text_of(reply)
        if not text.isascii() or not isinstance(tokens, list):
            return
        echoed = "".join(str(token) for token in tokens[prompt : prompt + len(reply)])
        if _letters(echoed) != _letters(text):
            raise DataError(
                f"{self.endpoint.model} at {self.endpoint.base_url} has other tokens than the tokenizer given here: "
                f"it reads {one_line(echoed, 80)!r} for {one_line(text, 80)!r}.",
                "Name the folder with that model's own tokenizer.",
            )


async def _all_or_none(works: Sequence[Any]) -> None:
    """Runs them together. The first error ends all, and is raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _outcome(answer: Answered | NotAnswered) -> ParsedReply:
    """`ok` where something came that may hold scores."""
    if isinstance(answer, NotAnswered):
        return ParsedReply("failed", answer.error_kind, answer.detail)
    told = read_json(answer.body)
    reply = told if isinstance(told, dict) else {}
    error = error_of(reply)
    if error or answer.http_status != 200:
        text = answer.body[:4000].decode("utf-8", errors="replace")
        _, kind, message = read_error(error or reply, answer.http_status, text)
        return ParsedReply("failed", kind, message)
    return ParsedReply("ok") if reply else ParsedReply("failed", "not_json" if answer.body else "empty_body")


def _letters(text: str) -> str:
    text = _BYTE.sub("", text)
    return "".join(character for character in text if character.isascii() and character.isalnum())
