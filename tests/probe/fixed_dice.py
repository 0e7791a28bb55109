"""A server of local models whose replies are drawn with the same dice in each run of a test."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import uvicorn

from stillroom.generate.generator import Generation, Generator
from stillroom.generate.load import load_model
from stillroom.generate.sampling import Sampling
from stillroom.serve.app import make_app


class FixedDice:
    """Stands in for `stillroom.serve.spawn.serving`, in this process.

    Each draw of a prompt has dice of its own, whichever server draws it: one seed for all of them would have made the
    replies of one time likelier than those of another.
    """

    def __init__(self, salt: str) -> None:
        self._salt = salt
        self._drawn: Counter[tuple[int, ...]] = Counter()
        """How often each prompt was answered."""

    def next_seed(self, prompt: list[int]) -> str:
        self._drawn[tuple(prompt)] += 1
        return f"{self._salt} {prompt} {self._drawn[tuple(prompt)]}"

    @contextmanager
    def serving(self, models: Mapping[str, Path]) -> Iterator[str]:
        generators = {name: _Generator(self, folder) for name, folder in models.items()}
        with socket.create_server(("127.0.0.1", 0)) as listener:
            server = uvicorn.Server(uvicorn.Config(make_app(generators), log_level="warning"))
            thread = threading.Thread(target=server.run, args=([listener],))
            thread.start()
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
            server.should_exit = True
            thread.join()


class _Generator(Generator):
    def __init__(self, dice: FixedDice, folder: Path) -> None:
        super().__init__(load_model(folder), threads=1)
        self._dice = dice

    def submit(self, prompt: list[int], sampling: Sampling, on_token: Callable[[], None] | None = None) -> Generation:
        return super().submit(prompt, replace(sampling, seed=self._dice.next_seed(prompt)), on_token)
