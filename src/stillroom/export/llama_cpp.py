"""What llama.cpp makes of a GGUF file: `python -m stillroom.export.llama_cpp` reads an order from standard input.

It is a process of its own because a damaged file can end llama.cpp, and whoever runs it, with a signal.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from stillroom.base.errors import ModelError, UsageError

INSTALL = "Run: pip install 'stillroom[gguf]'"
SURE = 1e4
"""Added to a token's logit it makes this token the next one, whatever the model."""


@dataclass(frozen=True, slots=True)
class Order:
    file: str
    conversations: Sequence[Sequence[dict[str, str]]]
    texts: Sequence[str]
    prompts: Sequence[Sequence[int]]
    reply_tokens: int
    """Most tokens of a reply to each of `prompts`."""
    marks: Sequence[int]
    threads: int


@dataclass(frozen=True, slots=True)
class Mark:
    """What happens when the model writes one token."""

    shown: str
    """The text that comes of it."""
    ends: bool
    """Whether the reply ends there."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What llama.cpp did, in the order's order."""

    conversations: list[list[int]]
    """Tokens of each conversation, as its chat template writes it before a reply."""
    texts: list[list[int]]
    replies: list[list[int]]
    """Greedy, the end token included."""
    marks: list[Mark]


def refuse_no_llama_cpp() -> None:
    """Raises UsageError where llama.cpp's Python package is not installed."""
    if importlib.util.find_spec("xllamacpp") is None:
        raise UsageError("xllamacpp, which is llama.cpp for Python, is not installed.", INSTALL)


def hear(order: Order) -> Heard:
    """Have llama.cpp load the file and do what is ordered. Raises ModelError where it does not."""
    done = subprocess.run(
        [sys.executable, "-m", __name__],
        input=json.dumps(asdict(order)),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        last_words = "".join(done.stderr.strip().splitlines()[-1:])
        raise ModelError(
            f"llama.cpp could not run {order.file} (exit code {done.returncode}): {last_words}", "No file was written."
        )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return Heard(**answer | {"marks": [Mark(**mark) for mark in answer["marks"]]})


def main() -> None:
    order = Order(**json.load(sys.stdin))
    print(json.dumps(asdict(_carry_out(order))))


def _carry_out(order: Order) -> Heard:
    import xllamacpp  # type: ignore[import-untyped]

    longest = max(map(len, order.prompts))
    settings = xllamacpp.CommonParams()
    settings.model.path = order.file
    settings.n_ctx = longest + order.reply_tokens + 256
    settings.n_parallel = 1
    settings.n_gpu_layers = 0
    settings.cpuparams.n_threads = order.threads
    settings.warmup = False
    settings.verbosity = 0
    server = _Server(xllamacpp.Server(settings))
    return Heard(
        conversations=[server.tokens(server.rendered(messages), begin=True) for messages in order.conversations],
        texts=[server.tokens(text, begin=False) for text in order.texts],
        replies=[server.write(prompt, order.reply_tokens)["tokens"] for prompt in order.prompts],
        marks=[server.mark(order.prompts[0], token) for token in order.marks],
    )


class _Server:
    def __init__(self, server: Any) -> None:
        self._server = server  # ends when nobody holds it
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def rendered(self, messages: Sequence[dict[str, str]]) -> str:
        text: str = self._post("/apply-template", messages=messages)["prompt"]
        return text

    def tokens(self, text: str, *, begin: bool) -> list[int]:
        """`begin`: with the token that this file wants before every prompt, if it wants one."""
        ids: list[int] = self._post("/tokenize", content=text, add_special=begin, parse_special=True)["tokens"]
        return ids

    def mark(self, prompt: Sequence[int], token: int) -> Mark:
        written = self.write(prompt, 1, logit_bias=[[token, SURE]])
        return Mark(shown=written["content"], ends=written["stop_type"] == "eos")

    def write(self, prompt: Sequence[int], tokens: int, **more: object) -> dict[str, Any]:
        # A file may recommend settings for sampling: all that could move a greedy choice is set.
        greedy = {"temperature": 0, "top_k": 1, "samplers": ["top_k", "temperature"], "repeat_penalty": 1}
        return self._post("/completion", prompt=prompt, n_predict=tokens, return_tokens=True, **greedy, **more)

    def _post(self, path: str, **body: object) -> dict[str, Any]:
        request = urllib.request.Request(
            self._server.listening_address + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with self._open(request) as response:
            answer: dict[str, Any] = json.load(response)
        return answer


if __name__ == "__main__":
    main()
