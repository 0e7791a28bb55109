"""Further draws of the teacher: each question once, with the settings that its request had, and paid for once."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.probe.bodies import request

from stillroom.base.errors import DataError, UsageError
from stillroom.base.records import Route
from stillroom.client.settings import Endpoint, Sampling
from stillroom.probe.request_messages import messages_of
from stillroom.probe.third_draw import draw_again, statuses_of
from stillroom.store.siblings import Opening, Pair, messages_json, question_id_of
from stillroom.testing import MisbehavingTeacher
from stillroom.testing.faults import content_filtered


def pair_of(number: int, body: bytes | None, route: Route = "chat", text: str = "") -> tuple[Pair, Opening]:
    asked = messages_of(route, body) if body is not None else [{"role": "user", "content": text}]
    assert isinstance(asked, list)
    pair = Pair(f"call-{number}", question_id_of(asked), messages_json(asked), "one", "two")
    coin_from: Any = "recorded" if body is not None else "assumed"
    return pair, Opening(pair.pair_id, "acct_1", number, 0, coin_from, route=route, request=body)


def endpoint(teacher: MisbehavingTeacher) -> Endpoint:
    return Endpoint(model="teacher", base_url=teacher.base_url, price="none", extra_body={"min_p": 0.1})


def test_the_settings_are_those_of_the_request(tmp_path: Path) -> None:
    made = [
        pair_of(0, request("chat", "A", "Be brief.", temperature=0.5, top_k=7, max_completion_tokens=9, seed=3, n=1)),
        pair_of(1, request("responses", "B", max_output_tokens=8), "responses"),
        pair_of(2, request("messages", "C", stop_sequences=["END"], top_p=0.9), "messages"),
        pair_of(3, request("completions", "D", stop="\n", user="me", logprobs=3), "completions"),
        pair_of(4, request("chat", "A", "Be brief.", temperature=0.9)),
        pair_of(5, None, text="E"),
    ]
    pairs, openings = [pair for pair, _ in made], [opening for _, opening in made]
    default = Sampling(temperature=0.3)
    with MisbehavingTeacher() as teacher:
        thirds = draw_again(pairs, openings, endpoint(teacher), tmp_path / "thirds.sqlite", default=default)
        assert draw_again(pairs, openings, endpoint(teacher), tmp_path / "thirds.sqlite", default=default) == thirds
        bodies = {body["messages"][-1]["content"]: body for body in teacher.bodies}
        assert teacher.requests == 5
    assert [third.question_id for third in thirds] == [pairs[place].question_id for place in (0, 1, 2, 3, 5)]
    assert all(third.text and third.sample == 0 and third.asked_at for third in thirds)
    assert bodies["A"].pop("messages")[0] == {"role": "system", "content": "Be brief."}
    told = {name: {key: body[key] for key in body if key not in ("messages", "model")} for name, body in bodies.items()}
    assert told == {
        "A": {"temperature": 0.5, "max_tokens": 9, "top_k": 7, "min_p": 0.1},
        "B": {"temperature": 0.7, "max_tokens": 8, "min_p": 0.1},
        "C": {"temperature": 0.7, "max_tokens": 64, "top_p": 0.9, "stop": ["END"], "min_p": 0.1},
        "D": {"temperature": 0.7, "stop": "\n", "min_p": 0.1},
        "E": {"temperature": 0.3, "min_p": 0.1},
    }


def test_what_the_teacher_refused_is_told(tmp_path: Path) -> None:
    made = [pair_of(number, request("chat", f"Q{number}")) for number in range(3)]
    with MisbehavingTeacher(faults_by_question={"Q1": [content_filtered()]}) as teacher:
        thirds = draw_again(
            [pair for pair, _ in made], [opening for _, opening in made], endpoint(teacher), tmp_path / "t.sqlite"
        )
    assert statuses_of(thirds) == Counter({"stop": 2, "refused: content_filter": 1})


def test_settings_that_nobody_knows(tmp_path: Path) -> None:
    teacher = Endpoint(model="teacher", base_url="http://127.0.0.1:1/v1", price="none")
    pair, opening = pair_of(0, None, text="E")
    with pytest.raises(UsageError, match="came without its request"):
        draw_again([pair], [opening], teacher, tmp_path / "t.sqlite")
    for body, words in ((b"not json", "is not JSON"), (json.dumps({"top_p": 7}).encode(), "as no model draws one")):
        given = Opening(pair.pair_id, "acct_1", 0, 0, route="chat", request=body)
        with pytest.raises(DataError, match=words):
            draw_again([pair], [given], teacher, tmp_path / "t.sqlite")
