"""Models that learned from no served reply and that a careless test would accuse, or clear too easily.

Each is asked once. Then the coins are tossed again and again: whoever did not look at them is accused as often as the
level says, and not more.
"""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from threading import Lock, Thread

import numpy as np
import pytest
from scipy.stats import binom
from tests.probe.drawn_teacher import (
    Draw,
    another_teacher,
    answers,
    colder,
    copies_the_question,
    id_of,
    number_of,
    one_answer,
    siblings,
    teacher,
)
from tests.probe.probes import planned, signer

from stillroom.client.settings import Endpoint
from stillroom.probe.asking import ask_suspect, questions_of
from stillroom.probe.bundle import THIRDS
from stillroom.probe.measures import MEASURES, PRIMARY
from stillroom.probe.opening import open_plan
from stillroom.probe.pack import read_pack
from stillroom.probe.pairs import Gathered, write_gathered
from stillroom.probe.plan import sampling_of
from stillroom.probe.statement import Statement
from stillroom.probe.swap_test import swap_test
from stillroom.probe.units import units_of
from stillroom.probe.words import outcome_of, verdict
from stillroom.store.siblings import Answer, Opening, Pair, write_rows
from stillroom.testing import MisbehavingTeacher
from stillroom.testing.answer import Answer as Said

PAIRS = 120
TOSSES = 150
CERTAIN = 1e-5
"""How rarely this test may fail by chance, were its seeds not fixed."""


def learned_other_questions(question: int, draw: Random) -> str:
    """Has by heart what was served of questions that the suspect is not examined on."""
    return teacher(question + 1000, draw)


def short(question: int, draw: Random) -> str:
    return " ".join(teacher(question, draw).split()[:3])


def endless(question: int, draw: Random) -> str:
    return " ".join(teacher(question, draw) for _ in range(5))


INNOCENTS: dict[str, Draw] = {
    "copies the question": copies_the_question,
    "one constant": one_answer,
    "the teacher": teacher,
    "the teacher, less by chance": colder,
    "another teacher": another_teacher,
    "trained on other questions": learned_other_questions,
    "short": short,
    "endless": endless,
}


def uneven(pairs: Sequence[Pair]) -> list[Pair]:
    """The second reply of every third pair is twice as long, and every fifth pair has a text of the one before."""
    made: list[Pair] = []
    for number, pair in enumerate(pairs):
        second = f"{pair.second} {pair.first}" if number % 3 == 0 else pair.second
        first = made[-1].first if number % 5 == 4 else pair.first
        made.append(Pair(pair.pair_id, pair.question_id, pair.messages, first, second))
    return made


def p_values(pairs: Sequence[Pair], said: Sequence[Answer], tosses: int) -> list[float]:
    texts: dict[str, list[str]] = {}
    for answer in said:
        texts.setdefault(answer.question_id, []).append(answer.text)
    differences_N, units_N = MEASURES[PRIMARY].differences(pairs, texts), units_of(pairs)
    random = np.random.default_rng(7)
    coins = random.integers(0, 2, (tosses, len(pairs))).astype(np.int8)
    return [swap_test(differences_N, coins_N, units_N).p_value for coins_N in coins]


@pytest.mark.parametrize("name", INNOCENTS)
def test_an_innocent_is_accused_no_more_often_than_the_level_says(name: str) -> None:
    pairs = uneven(siblings(31, PAIRS))
    found = p_values(pairs, answers(INNOCENTS[name], 32, 2, PAIRS), TOSSES)
    for level in (0.01, 0.05, 0.2):
        accused = sum(p_value <= level for p_value in found)
        assert accused <= binom.isf(CERTAIN, TOSSES, level), (level, accused)


def test_the_same_test_finds_one_that_learned_a_fifth_of_the_served_replies() -> None:
    pairs = siblings(31, PAIRS)
    (opened,) = np.random.default_rng(5).integers(0, 2, (1, PAIRS)).astype(np.int8)
    draw = Random(3)
    said = [
        Answer(pair.question_id, 0, (pair.first, pair.second)[coin] if number % 5 == 0 else teacher(number, draw))
        for number, (pair, coin) in enumerate(zip(pairs, opened, strict=True))
    ]
    texts = {answer.question_id: [answer.text] for answer in said}
    differences_N = MEASURES[PRIMARY].differences(pairs, texts)
    assert swap_test(differences_N, opened, units_of(pairs)).p_value < 0.001


# --- over HTTP, from the plan to the words -------------------------------------------------------------------------


def saying(of: Draw, salt: str) -> Callable[[str], Said]:
    """A model's answers: each draw of a question another one, and the same in whatever order they are asked for."""
    asked: Counter[int] = Counter()

    def answer(text: str) -> Said:
        number = number_of(text)
        asked[number] += 1
        return Said(of(number, Random(f"{salt} {number} {asked[number]}")))

    return answer


@contextmanager
def proxy(base_url: str) -> Iterator[str]:
    """An address that passes every call on to another one, under another model's name."""
    passed, lock = Counter[str](), Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked = json.dumps({**body, "model": "teacher"}).encode()
            headers = {"Content-Type": "application/json"}
            request = urllib.request.Request(f"{base_url}/chat/completions", asked, headers)
            with urllib.request.urlopen(request, timeout=60) as reply:
                told = reply.read().replace(b'"teacher"', b'"abacus"')
            with lock:
                passed[self.path] += 1
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert passed["/v1/chat/completions"] == PAIRS


def statement_about(folder: Path, base_url: str) -> Statement:
    """From gathered pairs to a statement about the model `abacus` at an address."""
    gathered, tosses = Gathered(), Random(11)
    for number, pair in enumerate(siblings(41, PAIRS)):
        coin = tosses.randrange(2)
        gathered.add(pair, Opening(pair.pair_id, "acct_1", 1_000_000 + number, 1 if coin else 0, "assumed"))
    write_gathered(folder, gathered)
    thirds = [Answer(id_of(number), 0, teacher(number, Random(f"third {number}")), "stop") for number in range(PAIRS)]
    write_rows(folder / THIRDS, Answer, thirds)
    made = planned(folder, samples=1)
    given = read_pack(made.pack)
    ask_suspect(
        questions_of(given.pairs),
        Endpoint(model="abacus", base_url=base_url, price="none"),
        folder / "answers",
        samples=1,
        sampling=sampling_of(given.plan),
        plan=given.plan.digest,
    )
    return open_plan(folder, "first", folder / "answers", signer(folder), "Olga").statement


def test_a_proxy_to_the_teacher_is_told_from_one_that_did_not_learn(tmp_path: Path) -> None:
    with MisbehavingTeacher(saying(teacher, "proxied")) as behind, proxy(behind.base_url) as base_url:
        statement = statement_about(tmp_path / "probe", base_url)
    assert outcome_of(statement) == "is_the_teacher"
    assert "this test cannot tell" in verdict(statement).headline


@pytest.mark.parametrize(
    ("of", "outcome", "nearness"),
    [
        (teacher, "is_the_teacher", "indistinguishable"),
        (colder, "is_the_teacher", "indistinguishable"),
        (another_teacher, "not_traced", "farther"),
        # Words of the question are in all answers, so that a language model of them has something, and finds nothing.
        (copies_the_question, "not_traced", "farther"),
        # None of its words is anywhere else: nothing could have been found, which is what is said.
        (one_answer, "too_few", "farther"),
    ],
)
def test_the_words_fit_the_innocent(tmp_path: Path, of: Draw, outcome: str, nearness: str) -> None:
    with MisbehavingTeacher(saying(of, "asked"), models=["abacus"]) as suspect:
        statement = statement_about(tmp_path / "probe", suspect.base_url)
    assert outcome_of(statement) == outcome
    assert statement.closeness is not None
    assert statement.closeness.verdict == nearness
    assert not statement.is_positive
