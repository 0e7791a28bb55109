from __future__ import annotations

import pytest

from stillroom.base.errors import DataError
from stillroom.text.conversation import conversation


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_that_stands_beside_the_answer(name: str) -> None:
    turns = [{"role": "user", "content": "6 * 7?"}, {"role": "assistant", "content": "42", name: "six sevens"}]
    asked, (said,) = conversation(turns, "messages", "a.jsonl line 1")
    assert [message.content for message in asked] == ["6 * 7?"]
    assert (said.content, said.reasoning) == ("42", "six sevens")


def test_empty_reasoning_is_none_and_the_other_name_is_looked_at() -> None:
    said = {"role": "assistant", "content": "42", "reasoning_content": "", "reasoning": "six sevens"}
    _, (message,) = conversation([{"role": "user", "content": "6 * 7?"}, said], "messages", "line 1")
    assert message.reasoning == "six sevens"
    _, (message,) = conversation(
        [{"from": "human", "value": "6 * 7?"}, {"from": "gpt", "value": "42", "reasoning": ""}], "conversations", "1"
    )
    assert (message.role, message.content, message.reasoning) == ("assistant", "42", None)


def test_reasoning_that_is_no_text_is_an_error() -> None:
    with pytest.raises(DataError, match=r"line 1: messages\[1\]: reasoning"):
        conversation(
            [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "reasoning": ["c"]}],
            "messages",
            "line 1",
        )
