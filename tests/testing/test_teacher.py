from __future__ import annotations

import json
import urllib.error
import urllib.request
from http.client import HTTPResponse, IncompleteRead
from typing import Any

import pytest

from stillroom.testing import Answer, MisbehavingTeacher
from stillroom.testing.faults import cut_off, empty_choices, rate_limited, reset


def post(teacher: MisbehavingTeacher, text: str = "a?", model: str = "teacher", key: str | None = None) -> Any:
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    request = urllib.request.Request(f"{teacher.base_url}/chat/completions", json.dumps(body).encode())
    if key is not None:
        request.add_header("Authorization", f"Bearer {key}")
    response: HTTPResponse
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def refused(teacher: MisbehavingTeacher, **how: Any) -> urllib.error.HTTPError:
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(teacher, **how)
    caught.value.close()
    return caught.value


def test_it_answers_as_told_and_counts() -> None:
    with MisbehavingTeacher(lambda question: Answer(f"{question} Yes.", "hm")) as teacher:
        reply = post(teacher, "a b?")
        assert reply["choices"][0]["message"] == {
            "role": "assistant",
            "content": "a b? Yes.",
            "reasoning_content": "hm",
        }
        assert reply["usage"] == {"prompt_tokens": 2, "completion_tokens": 4, "total_tokens": 6}
        post(teacher, "a b?")
        assert (teacher.requests, teacher.by_question, teacher.charged_tokens) == (2, {"a b?": 2}, 8)
        assert teacher.bodies[0]["model"] == "teacher"


def test_faults_are_met_in_order_and_by_question() -> None:
    faults = {"b?": [rate_limited("3"), None]}
    with MisbehavingTeacher(
        faults=[None, empty_choices()], faults_by_question=faults, always=rate_limited()
    ) as teacher:
        assert post(teacher)["choices"]
        error = refused(teacher, text="b?")
        assert (error.code, error.headers["Retry-After"]) == (429, "3")
        assert post(teacher, "b?")["choices"]
        assert post(teacher)["choices"] == []
        assert refused(teacher).headers["Retry-After"] is None
        assert teacher.requests == 5


def test_connections_are_reset_for_real() -> None:
    with MisbehavingTeacher(faults=[reset(), cut_off()]) as teacher:
        with pytest.raises(ConnectionError):
            post(teacher)
        with pytest.raises((ConnectionError, IncompleteRead, urllib.error.URLError)):
            post(teacher)
        assert teacher.requests == 2


def test_keys_models_and_paths() -> None:
    with MisbehavingTeacher(api_key="k", models=["one", "two"]) as teacher:
        assert refused(teacher, model="one").code == 401
        assert refused(teacher, model="three", key="k").code == 404
        assert post(teacher, model="two", key="k")["model"] == "two-served"
        with urllib.request.urlopen(f"{teacher.base_url}/models", timeout=60) as response:
            assert [model["id"] for model in json.load(response)["data"]] == ["one", "two"]
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{teacher.base_url}/nothing", timeout=60)
        caught.value.close()
        assert caught.value.code == 404
