"""Students of every family: what is trained, and behind what, is what the served student writes, and behind what."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.base.errors import DataError
from stillroom.base.records import Message, Trace
from stillroom.train.gate import Gate
from stillroom.train.render import Rendered, Renderer, Row
from stillroom.train.settings import Method, PartWeights

OPENS_THINK = {"qwen3 thinking", "deepseek r1"}
REFUSES_SYSTEM = {"gemma 2", "mistral v1"}
LEADS = {"mistral v3": " ", "llama 2": " "}
TRAILS = {"llama 2": " "}
CALLS_TOOLS = {"qwen2.5", "qwen3", "qwen3 thinking", "llama 3", "mistral v3"}

QUESTION = "How many é legs have\n\n two  spiders?"
REASONING = "Eight each.\n\n8 × 2 = 16 ☕"
ANSWER = 'Sixteen: <b>16</b> "legs" & it\'s done.'


def trace(*messages: Message, tools: Any = None) -> Trace:
    return Trace(question_id="q", messages=messages, source="test", tools=tools)


def system(text: str) -> Message:
    return Message(role="system", content=text)


def user(text: str) -> Message:
    return Message(role="user", content=text)


def assistant(answer: str, reasoning: str | None = None, **more: Any) -> Message:
    return Message(role="assistant", content=answer, reasoning=reasoning, **more)


def rows_of(student: Any, rendered: Trace, method: Method = "sft", weights: PartWeights = PartWeights()) -> list[Row]:  # noqa: B008
    """Through the gate: what it lets pass here is what training sees."""
    renderer = Renderer(student.tokenizer, method, student.end_ids, weights)
    rows = renderer.render(rendered)
    gate = Gate(student.tokenizer, method, renderer.end_ids, weights)
    assert gate.problem(Rendered(rendered, rows)) is None
    assert student.tokenizer.convert_tokens_to_ids(student.turn_end) in renderer.end_ids
    return list(rows)


def as_sent(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """The messages as a client of a served student sends them, replies as a student writes them."""
    sent = []
    for message in messages:
        said = message.content.strip() if message.role == "assistant" else message.content
        sent.append({"role": message.role, "content": said})
        if message.reasoning is not None:
            sent[-1]["reasoning_content"] = message.reasoning.strip()
    return sent


def check_prefixes(student: Any, rendered: Trace, rows: list[Row]) -> None:
    """What stands before each trained reply is the prompt that a served student is given, token for token."""
    for row in rows:
        for reply in row.replies:
            before = rendered.messages[: reply.message]
            assert row.ids[: reply.start].tolist() == student.served(as_sent(before), rendered.tools)


def written(student: Any, reasoning: str | None, answer: str) -> str:
    """What the student has to write, its end token included."""
    lead, trail = LEADS.get(student.name, ""), TRAILS.get(student.name, "")
    opened = student.name in OPENS_THINK
    block = "" if reasoning is None and not opened else f"<think>\n{reasoning or ''}\n</think>\n\n"
    return f"{lead}{block.removeprefix('<think>' + chr(10)) if opened else block}{answer}{trail}{student.turn_end}"


def trained_texts(student: Any, row: Row) -> list[str]:
    """Decoded behind what is before them, since some tokenizers drop a blank at the start of a text."""
    texts = []
    for reply in row.replies:
        assert row.trained[reply.start : reply.stop].all()
        before = student.text(row.ids[: reply.start])
        texts.append(student.text(row.ids[: reply.stop]).removeprefix(before))
    assert row.trained.sum() == sum(reply.stop - reply.start for reply in row.replies)
    return texts


@pytest.mark.parametrize("reasoning", [REASONING, None])
@pytest.mark.parametrize("said_before", [False, True])
def test_one_turn(student: Any, reasoning: str | None, said_before: bool) -> None:
    messages = [*([system("Be brief, please.")] if said_before else []), user(QUESTION), assistant(ANSWER, reasoning)]
    asked = trace(*messages)
    if said_before and student.name in REFUSES_SYSTEM:
        with pytest.raises(DataError, match=r"template refuses these messages: (System role not|Conversation roles)"):
            rows_of(student, asked)
        return
    (row,) = rows_of(student, asked)
    check_prefixes(student, asked, [row])
    assert trained_texts(student, row) == [written(student, reasoning, ANSWER)]
    text = student.text(row.ids)
    blocks = int(reasoning is not None or student.name in OPENS_THINK)
    assert (text.count("<think>"), text.count("</think>")) == (blocks, blocks)


def test_answers_only(student: Any) -> None:
    asked = trace(user(QUESTION), assistant(ANSWER, REASONING))
    (row,) = rows_of(student, asked, "answers_only")
    check_prefixes(student, asked, [row])
    assert trained_texts(student, row) == [written(student, None, ANSWER)]
    assert "Eight" not in student.text(row.ids)


def test_every_turn_of_a_conversation(student: Any) -> None:
    asked = trace(
        *([] if student.name in REFUSES_SYSTEM else [system("Be brief.")]),
        user("One?"),
        assistant("It is 1.", "one"),
        user("Two?"),
        assistant("It is 2."),
        user("Three?"),
        assistant("It is 3.", "three"),
    )
    rows = rows_of(student, asked)
    check_prefixes(student, asked, rows)
    assert [text for row in rows for text in trained_texts(student, row)] == [
        written(student, "one", "It is 1."),
        written(student, None, "It is 2."),
        written(student, "three", "It is 3."),
    ]
    for row in rows:
        # Of earlier turns no template here keeps the thoughts, and the last reply of the row has at most one block.
        assert student.text(row.ids[: row.replies[-1].start]).count("</think>") <= len(row.replies) - 1


def test_plain_turns_share_a_row_where_the_template_leaves_history_as_it_is(student: Any) -> None:
    asked = trace(user("One?"), assistant("It is 1."), user("Two?"), assistant("It is 2."))
    rows = rows_of(student, asked)
    check_prefixes(student, asked, rows)
    # A prompt that opens a block makes a plain reply close it, and its history drops that empty block.
    assert len(rows) == (2 if student.name in OPENS_THINK else 1)


def test_weights_by_part(student: Any) -> None:
    asked = trace(user(QUESTION), assistant(ANSWER, REASONING))
    (row,) = rows_of(student, asked, weights=PartWeights(reasoning=0.5, answer=2))
    (alike,) = rows_of(student, asked)
    assert row.ids.tolist() == alike.ids.tolist()
    light, heavy = (student.text(row.ids[row.weights == weight]) for weight in (0.5, 2))
    assert REASONING in light
    assert ANSWER in heavy
    assert heavy.endswith(student.turn_end)
    assert "Sixteen" not in light
    assert "16 ☕" not in heavy


def test_pad_that_is_eos_is_trained_where_it_ends_a_reply(student: Any) -> None:
    """The mask goes by position: whatever else a token is used for, the one behind the reply counts."""
    (row,) = rows_of(student, trace(user("a"), assistant("A")))
    assert row.ids[-1] == student.tokenizer.convert_tokens_to_ids(student.turn_end)
    assert row.weights[-1] == 1


# --- tools -----------------------------------------------------------------------------------------------------------

TOOLS = [{"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object"}}}]
CALL = {"id": "call12345", "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": "é"}'}}
CALLED = {
    "qwen2.5": '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": "é"}}\n</tool_call>',
    "qwen3": '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": "é"}}\n</tool_call>',
    "qwen3 thinking": '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": "é"}}\n</tool_call>',
    "llama 3": '{"name": "add", "parameters": {"a": 1, "b": "é"}}',
    "mistral v3": '[TOOL_CALLS] [{"name": "add", "arguments": {"a": 1, "b": "é"}, "id": "call12345"}]',
}


def conversation_with_a_tool() -> Trace:
    return trace(
        user("1 and é?"),
        assistant("", "I call it.", tool_calls=(CALL,)),
        Message(role="tool", content='{"sum": "1é"}'),
        assistant("It is 1é.", "Done."),
        tools=TOOLS,
    )


@pytest.mark.parametrize("name", sorted(CALLS_TOOLS))
def test_a_call_and_the_reply_to_its_result_are_trained_and_the_result_is_not(
    students: Callable[[str], Any], name: str
) -> None:
    student, asked = students(name), conversation_with_a_tool()
    rows = rows_of(student, asked)
    call = written(student, "I call it.", CALLED[name])
    call = call.lstrip(" ") if name in LEADS else call
    trained = [text for row in rows for text in trained_texts(student, row)]
    assert trained == [call, written(student, "Done.", "It is 1é.")]
    sent: list[dict[str, Any]] = [
        {"role": "user", "content": "1 and é?"},
        {"role": "assistant", "content": "", "reasoning_content": "I call it.", "tool_calls": [CALL]},
        {"role": "tool", "content": '{"sum": "1é"}', "tool_call_id": "call12345", "name": "add"},
    ]
    for row in rows:
        for reply in row.replies:
            assert row.ids[: reply.start].tolist() == student.served(sent[: reply.message], TOOLS)
            assert "Adds." in student.text(row.ids[: reply.start])
    # Qwen 3 keeps the thoughts of a question that is still being worked on, so that both replies share a row.
    assert len(rows) == (1 if name.startswith("qwen3") else 2)


@pytest.mark.parametrize("call", [{}, {"function": "add"}, {"function": {"arguments": "{}"}}, {"name": ""}])
@pytest.mark.parametrize("name", ["chatml", "qwen2.5", "qwen3", "llama 3", "mistral v3"])
def test_a_call_of_nothing_is_refused(students: Callable[..., Any], name: str, call: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"does not say which tool|refuses these messages"):
        rows_of(students(name), trace(user("a"), assistant("", tool_calls=(call,))))


def test_a_call_whose_arguments_are_dropped_is_refused(students: Callable[..., Any]) -> None:
    student = students("qwen2.5")
    template = student.tokenizer.chat_template
    nameless = dataclasses.replace(student, tokenizer=copy.deepcopy(student.tokenizer))
    nameless.tokenizer.chat_template = template.replace("(called.arguments | tojson)", "'{}'")
    assert nameless.tokenizer.chat_template != template
    with pytest.raises(DataError, match="leaves out a tool call"):
        rows_of(nameless, trace(user("a"), assistant("", tool_calls=(CALL,))))


def test_tools_that_the_template_does_not_write_are_refused(students: Callable[..., Any]) -> None:
    with pytest.raises(DataError, match="leaves out what may be called"):
        rows_of(students("chatml"), trace(user("a"), assistant("A"), tools=TOOLS))


@pytest.mark.parametrize("name", ["qwen2.5", "qwen3"])
def test_text_beside_a_call(students: Callable[[str], Any], name: str) -> None:
    student = students(name)
    said = assistant("I will add.", "r", tool_calls=(CALL, {**CALL, "id": "call67890"}))
    (row,) = rows_of(student, trace(user("1 and é?"), said, tools=TOOLS))
    assert trained_texts(student, row) == [
        f"<think>\nr\n</think>\n\nI will add.\n{CALLED[name]}\n{CALLED[name]}{student.turn_end}"
    ]


def test_a_template_that_drops_part_of_a_call_is_refused(students: Callable[[str], Any]) -> None:
    with pytest.raises(DataError, match="leaves out a tool call, or the text beside it"):
        rows_of(students("llama 3"), trace(user("a"), assistant("I will.", tool_calls=(CALL,)), tools=TOOLS))
    with pytest.raises(DataError, match="refuses these messages: This model calls one tool at a time"):
        rows_of(students("llama 3"), trace(user("a"), assistant("", tool_calls=(CALL, CALL)), tools=TOOLS))
    with pytest.raises(DataError, match="leaves out a tool call, or the text beside it"):
        rows_of(students("chatml"), trace(user("a"), assistant("", tool_calls=(CALL,))))
    with pytest.raises(DataError, match="leaves out messages of the role tool"):
        rows_of(
            students("zephyr"),
            trace(user("a"), assistant("I will."), Message(role="tool", content="5"), assistant("It is 5.")),
        )
    with pytest.raises(DataError, match="refuses these messages: Tool call IDs"):
        rows_of(students("mistral v3"), trace(user("a"), assistant("", tool_calls=({**CALL, "id": "x"},)), tools=TOOLS))
    with pytest.raises(DataError, match="tool call without its result"):
        rows_of(
            students("qwen3"), trace(user("a"), assistant("", tool_calls=(CALL,)), assistant("It is 5."), tools=TOOLS)
        )


# --- what cannot be done ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("harmony", r"writes '<\|channel\|>final<\|message\|>' before a reply, and its prompt for a reply does not"),
        ("qwen3_no_thinking", "closes the think block before the reply, which has reasoning"),
        ("deepseek_v3.1", "closes the think block before the reply, which has reasoning"),
    ],
)
def test_reasoning_is_refused_where_no_place_is_left_for_it(
    students: Callable[..., Any], template: str, problem: str
) -> None:
    student = students("qwen3", template)
    with pytest.raises(DataError, match=problem):
        rows_of(student, trace(user("a"), assistant("A", "r")))


@pytest.mark.parametrize("template", ["qwen3_no_thinking", "deepseek_v3.1"])
def test_answers_without_thoughts_come_after_the_block_that_the_prompt_closes(
    students: Callable[..., Any], template: str
) -> None:
    student = students("qwen3" if template.startswith("q") else "deepseek r1", template)
    (row,) = rows_of(student, trace(user("a"), assistant("A", "r")), "answers_only")
    assert trained_texts(student, row) == [f"A{student.turn_end}"]
    check_prefixes(student, trace(user("a"), assistant("A", "r")), [row])


pieces = st.lists(
    st.sampled_from([*"aé <>|/\n5☕", "  ", " the", "**", "{{ x }}", "\u200b", "\\n"]), min_size=1, max_size=9
)
texts = pieces.map("".join).filter(lambda text: text.strip() != "")


@settings(max_examples=25)
@given(question=texts, reasoning=st.none() | texts, answer=texts, again=texts)
def test_any_text_in_any_family(
    students: Callable[[str], Any], question: str, reasoning: str | None, answer: str, again: str
) -> None:
    for name in ("qwen3", "deepseek r1", "llama 3", "gemma 3", "mistral v1", "llama 2"):
        student = students(name)
        asked = trace(user(question), assistant(answer, reasoning), user(again), assistant(answer, reasoning))
        rows = rows_of(student, asked)
        check_prefixes(student, asked, rows)
        assert sum(len(row.replies) for row in rows) == 2


def test_arguments_that_are_an_object_already(students: Callable[[str], Any]) -> None:
    call = {**CALL, "function": {"name": "add", "arguments": json.loads('{"a": 1, "b": "é"}')}}
    (row,) = rows_of(students("qwen2.5"), trace(user("a"), assistant("", tool_calls=(call,)), tools=TOOLS))
    assert trained_texts(students("qwen2.5"), row) == [CALLED["qwen2.5"] + "<|im_end|>"]
