"""Continuous batching: one thread runs the model, and requests join and leave its batch at every step.

B rows, T tokens of a prompt, L columns of the cache, V vocabulary.
"""

from __future__ import annotations

import inspect
import random
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Literal

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer

from stillroom.base.errors import ModelError
from stillroom.generate.cache import BatchCache, Pairs, keys_and_values
from stillroom.generate.load import LocalModel
from stillroom.generate.sampling import BatchSampler, Sampling
from stillroom.generate.scoring import TokenScores, score_tokens

FinishReason = Literal["stop", "length", "cancelled"]

PREFILL_TOKENS = 8192
"""Most tokens, padding included, of the prompts that are read together: bounds the memory of one prefill."""


class Generation:
    """One reply in the making. The generator's thread writes it; everybody else only reads and cancels."""

    def __init__(
        self, prompt: list[int], sampling: Sampling, limit: int, on_token: Callable[[], None] | None = None
    ) -> None:
        self.prompt = prompt
        self.sampling = sampling
        self.tokens: list[int] = []
        """What the model has written so far, the end token included. Only ever appended to."""
        self.finished: Future[FinishReason] = Future()
        """Resolves once no token will come any more. Its exception is a ModelError: the generator broke or closed."""
        self.cancelled = False
        self._limit = limit
        self._on_token = on_token
        # As text: of a number, random.Random would take the absolute value.
        self._random = random.Random(None if sampling.seed is None else str(sampling.seed))

    def cancel(self) -> None:
        """Stop soon: the row leaves the batch at the next step."""
        self.cancelled = True

    def result(self) -> list[int]:
        """Wait, and return the tokens."""
        self.finished.result()
        return self.tokens

    @property
    def last_token(self) -> int:
        """Of what there is now, the prompt included."""
        return (self.tokens or self.prompt)[-1]

    def next_uniform(self) -> float:
        return self._random.random()

    def take(self, token: int, end_ids: frozenset[int]) -> FinishReason | None:
        """Add a token; return why it was the last one, if it was."""
        self.tokens.append(token)
        if self._on_token is not None:
            self._on_token()
        if token in end_ids:
            return "stop"
        if len(self.tokens) >= self._limit:
            return "length"
        return "cancelled" if self.cancelled else None


class Generator:
    """Runs a model on a thread of its own.

    `max_batch`: most rows of the running batch; further requests wait in the order in which they came.
    `threads`: of torch; None leaves torch's setting. `cache_bytes`: keys and values in use; above it the youngest row
    goes back to waiting and is read again later (what is allocated may be four times as much while the batch grows).
    Raises ModelError for a model whose layers do not keep keys and values by position.
    """

    def __init__(
        self, local: LocalModel, *, max_batch: int = 64, threads: int | None = None, cache_bytes: int = 1 << 30
    ) -> None:
        self.local = local
        self._max_batch = max_batch
        self._threads = threads
        self._cache_bytes = cache_bytes
        self._device = local.model.device
        # transformers renamed this argument; the signature tells which name it has here.
        parameters = inspect.signature(local.model.forward).parameters
        self._cache_argument = "cache" if "cache" in parameters else "past_key_values"
        probe = self._probe(parameters.keys() >= {self._cache_argument, "position_ids"})
        self._vocabulary = int(local.model.config.get_text_config().vocab_size)
        self._bytes_per_column = sum(keys_BHLD.nbytes + values_BHLD.nbytes for keys_BHLD, values_BHLD in probe)
        self._cache = BatchCache(probe)
        self._rows: list[Generation] = []
        """Row b of the batch and of the cache."""
        self._rows_changed = False
        self._waiting: deque[Generation] = deque()
        self._to_score: deque[tuple[list[int], Future[TokenScores]]] = deque()
        self._unfinished: set[Generation] = set()
        self._closing = False
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="stillroom-generator", daemon=True)
        self._thread.start()

    def submit_all(self, asked: Sequence[tuple[list[int], Sampling]]) -> list[Generation]:
        """`submit` of each prompt, before any of them is begun: the same ones are batched, and answered, the same."""
        with self._wake:
            return [self.submit(prompt, sampling) for prompt, sampling in asked]

    def submit(self, prompt: list[int], sampling: Sampling, on_token: Callable[[], None] | None = None) -> Generation:
        """Ask for a reply to `prompt`. `on_token` is called on the generator's thread after each token: be quick.

        Ends after sampling.max_tokens, or where the model's context ends. Raises ValueError for a prompt that is empty,
        leaves no room for a token or holds one that the model does not know, and ModelError where the generator is
        closed.
        """
        room = self.local.context - len(prompt)
        if not prompt or room < 1 or sampling.max_tokens < 1:
            raise ValueError(f"a prompt of {len(prompt)} tokens and a reply of {sampling.max_tokens} are not possible")
        self._refuse_unknown(prompt)
        generation = Generation(prompt, sampling, min(sampling.max_tokens, room), on_token)
        with self._wake:
            if self._closing:
                raise ModelError("The generator is closed.")
            self._waiting.append(generation)
            self._unfinished.add(generation)
            self._wake.notify()
        return generation

    def score(self, tokens: list[int]) -> Future[TokenScores]:
        """How likely the model holds each of `tokens` but the first, given those before it; in one row.

        Raises ValueError for fewer than two tokens, more than the context, or one that the model does not know, and
        ModelError where the generator is closed.
        """
        if not 2 <= len(tokens) <= self.local.context:
            raise ValueError(f"{len(tokens)} tokens can't be scored, only 2 to {self.local.context}")
        self._refuse_unknown(tokens)
        scores: Future[TokenScores] = Future()
        with self._wake:
            if self._closing:
                raise ModelError("The generator is closed.")
            self._to_score.append((tokens, scores))
            self._wake.notify()
        return scores

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> None:
        """Stop the thread. What has not finished fails with ModelError."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    def _refuse_unknown(self, tokens: list[int]) -> None:
        if max(tokens) >= self._vocabulary:
            raise ValueError(f"the model has {self._vocabulary} tokens, and the prompt holds number {max(tokens)}")

    def _run(self) -> None:
        if self._threads is not None:
            torch.set_num_threads(self._threads)
        try:
            with torch.inference_mode():
                while self._wait_for_work():
                    self._score_next()
                    self._admit()
                    if self._rows:
                        self._step()
        finally:
            # Reached by close, and by an error of the model too: nobody shall wait for ever for a dead thread.
            with self._wake:
                self._closing = True
            for generation in self._unfinished:
                generation.finished.set_exception(ModelError("The generator stopped before this reply was finished."))
            for _, scores in self._to_score:
                if scores.running() or scores.set_running_or_notify_cancel():
                    scores.set_exception(ModelError("The generator stopped before these tokens were scored."))

    def _wait_for_work(self) -> bool:
        with self._wake:
            self._wake.wait_for(lambda: self._rows or self._waiting or self._to_score or self._closing)
            return not self._closing

    def _score_next(self) -> None:
        """One text at a time: whoever waits for a token waits no longer than it takes."""
        if not self._to_score:
            return
        tokens, scores = self._to_score[0]
        if scores.set_running_or_notify_cancel():
            scores.set_result(score_tokens(self.local.model, torch.tensor([tokens])))
        self._to_score.popleft()

    # --- joining and leaving -----------------------------------------------------------------------------------------

    def _admit(self) -> None:
        while joining := self._next_to_join():
            lengths = [len(generation.prompt) + len(generation.tokens) - 1 for generation in joining]
            self._cache.add_rows(self._prefill(joining, max(lengths)), lengths)
            self._rows += joining
            self._rows_changed = True

    def _next_to_join(self) -> list[Generation]:
        joining: list[Generation] = []
        longest = 0
        with self._wake:
            while self._waiting and len(self._rows) + len(joining) < self._max_batch:
                generation = self._waiting[0]
                if generation.cancelled:
                    self._finish(self._waiting.popleft(), "cancelled")
                    continue
                longest = max(longest, len(generation.prompt) + len(generation.tokens))
                rows = len(self._rows) + len(joining) + 1
                # Half of the memory is left for the rows to grow into; a lone row always joins.
                too_big = self._bytes(rows, max(longest, self._cache.longest)) > self._cache_bytes / 2
                if (joining and (len(joining) + 1) * longest > PREFILL_TOKENS) or (rows > 1 and too_big):
                    break
                joining.append(self._waiting.popleft())
        return joining

    def _prefill(self, joining: list[Generation], longest: int) -> Pairs | None:
        """Read all but the last token of each prompt; that one is the row's input to its first step.

        Prompts are padded on the right, where the causal mask hides the padding from every real token.
        """
        if longest == 0:
            return None
        ids_BT = torch.zeros(len(joining), longest, dtype=torch.long)
        for row, generation in enumerate(joining):
            read = (generation.prompt + generation.tokens)[:-1]
            ids_BT[row, : len(read)] = torch.tensor(read, dtype=torch.long)
        prefilled = DynamicCache()
        position_BT = torch.arange(longest, device=self._device)[None]
        self._forward(self.local.model.base_model, ids_BT.to(self._device), position_BT, None, prefilled)
        return keys_and_values(prefilled)

    def _leave(self, row: int) -> Generation:
        """Take a row out; the last row takes its place, here as in the cache."""
        generation = self._rows[row]
        self._rows[row] = self._rows[-1]
        self._rows.pop()
        self._cache.remove_row(row)
        self._rows_changed = True
        return generation

    def _finish(self, generation: Generation, reason: FinishReason) -> None:
        self._unfinished.discard(generation)
        generation.finished.set_result(reason)

    def _bytes(self, rows: int, longest: int) -> int:
        return rows * longest * self._bytes_per_column

    # --- one step ----------------------------------------------------------------------------------------------------

    def _step(self) -> None:
        while len(self._rows) > 1 and self._bytes(len(self._rows), self._cache.longest + 1) > self._cache_bytes:
            with self._wake:
                self._waiting.appendleft(self._leave(len(self._rows) - 1))
        if self._rows_changed:
            positions = [[len(row.prompt) + len(row.tokens) - 1] for row in self._rows]
            self._token_B1 = torch.tensor([[row.last_token] for row in self._rows], device=self._device)
            self._position_B1 = torch.tensor(positions, device=self._device)
            self._sampler = BatchSampler([row.sampling for row in self._rows], self._device)
            self._rows_changed = False
        mask_B11L = self._cache.open_column()
        output = self._forward(self.local.model, self._token_B1, self._position_B1, mask_B11L, self._cache)
        uniforms = [row.next_uniform() for row in self._rows]
        token_B = self._sampler.choose(output.logits[:, -1], uniforms, [row.last_token for row in self._rows])
        self._token_B1 = token_B[:, None]
        self._position_B1 += 1
        tokens = token_B.tolist()
        # From the last row to the first: a row that leaves is replaced by one that has had its turn.
        for row in range(len(tokens) - 1, -1, -1):
            reason = self._rows[row].take(tokens[row], self.local.end_ids)
            if reason is not None:
                self._finish(self._leave(row), reason)

    def _forward(
        self,
        module: torch.nn.Module,
        ids_BT: torch.Tensor,
        position_BT: torch.Tensor,
        mask: torch.Tensor | None,
        cache: DynamicCache | BatchCache,
    ) -> Any:
        arguments = {self._cache_argument: cache}
        return module(input_ids=ids_BT, position_ids=position_BT, attention_mask=mask, use_cache=True, **arguments)

    def _probe(self, takes_positions: bool) -> Pairs:
        """One token through the model: the shapes of its cache, and whether it is one that we can keep."""
        kinds = set(getattr(self.local.model.config.get_text_config(), "layer_types", None) or ())
        if takes_positions and kinds <= {"full_attention", "sliding_attention"}:
            cache = DynamicCache()
            with torch.inference_mode():
                zero_11 = torch.zeros(1, 1, dtype=torch.long, device=self._device)
                self._forward(self.local.model, zero_11, zero_11, None, cache)
            if cache.layers and all(type(layer) is DynamicLayer for layer in cache.layers):
                return keys_and_values(cache)
        raise ModelError(
            f"{self.local.path}: {type(self.local.model).__name__} keeps something other than keys and values by "
            "position, and can't be served in batches.",
            "Use a decoder with ordinary attention.",
        )
