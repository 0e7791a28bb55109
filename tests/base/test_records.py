from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from stillroom.base.canonical import canonical_bytes
from stillroom.base.errors import RecipeError, StillroomError, Stopped, UsageError
from stillroom.base.records import Message, Question, Trace, messages_bytes, question_id


def test_the_id_of_a_question_is_its_messages_and_nothing_else() -> None:
    one = (Message(role="user", content="2 + 2?"),)
    assert question_id(one) == question_id((Message(role="user", content="2 + 2?"),))
    assert question_id(one) != question_id((Message(role="system", content="2 + 2?"),))
    assert question_id(one) != question_id((Message(role="user", content="2 + 2? "),))


_messages = st.builds(
    Message,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    content=st.text(),
    reasoning=st.none() | st.text(),
    tool_calls=st.none() | st.lists(st.dictionaries(st.text(), st.none() | st.text() | st.floats(0, 3)), max_size=2),
    train=st.none() | st.booleans(),
)


@given(st.lists(_messages, max_size=3))
def test_the_bytes_of_messages_are_canonical(messages: list[Message]) -> None:
    assert messages_bytes(messages) == canonical_bytes([message.model_dump(exclude_none=True) for message in messages])


@pytest.mark.parametrize("extra", [{"idd": "x"}, {"messages": []}, {"kind": "numbr"}])
def test_a_row_of_another_shape_is_refused(extra: dict[str, object]) -> None:
    row = {"id": "1", "messages": [{"role": "user", "content": "x"}], "source": "here"}
    Question.model_validate(row)
    with pytest.raises(ValidationError):
        Question.model_validate(row | extra)


def test_a_pass_rate_is_a_share() -> None:
    message = Message(role="user", content="x")
    with pytest.raises(ValidationError):
        Trace(question_id="1", messages=(message,), source="here", pass_rate=1.5)


def test_an_error_says_what_happened_and_what_to_do() -> None:
    error = RecipeError("The key 'ask' is not known.", "Did you mean 'asks'?")
    assert str(error) == "The key 'ask' is not known. Did you mean 'asks'?"
    assert (error.what, error.remedy) == ("The key 'ask' is not known.", "Did you mean 'asks'?")
    assert (StillroomError.exit_code, UsageError.exit_code, RecipeError.exit_code, Stopped.exit_code) == (1, 2, 2, 3)
