"""What a request asks, in the one form in which a suspect is asked it: messages of system and user, as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from stillroom.base.records import Route
from stillroom.client.stream import read_json
from stillroom.text.well_formed import well_formed

NoQuestion = Literal["unreadable_request", "assistant_turn", "not_text"]
Messages = list[dict[str, str]]

_ROLES = {"system": "system", "developer": "system", "user": "user"}
_OF_THE_MODEL = {"assistant", "model", "tool", "function"}
_TEXT_PARTS = {None, "text", "input_text"}


def messages_of(route: Route, request: bytes) -> Messages | NoQuestion:
    """The messages of a request's body, or why there are none that could be asked of another model.

    `assistant_turn`: it holds what a model said before, which the coins of earlier calls may have chosen. `not_text`:
    pictures, tokens, and requests whose reply is no answer by itself (an echo, a text to go on to). Never raises.
    """
    body = read_json(request)
    if not isinstance(body, dict):
        return "unreadable_request"
    if route == "chat":
        return _joined(body.get("messages"))
    if route == "messages":
        return _joined(body.get("messages"), body.get("system"))
    if route == "responses":
        return _of_responses(body)
    if route == "completions":
        return _of_completions(body)
    return "not_text"


def _joined(messages: object, system: object = None) -> Messages | NoQuestion:
    if not isinstance(messages, list) or not messages:
        return "unreadable_request"
    found: Messages = []
    for message in [{"role": "system", "content": system}, *messages] if system else messages:
        read = _message(message)
        if isinstance(read, str):
            return read
        found.append(read)
    return found


def _message(message: object) -> dict[str, str] | NoQuestion:
    if not isinstance(message, dict):
        return "unreadable_request"
    role = message.get("role")
    if role in _OF_THE_MODEL or (role is None and message.get("type") not in (None, "message")):
        return "assistant_turn"  # items of the newer API that have no role: what the model reasoned, called, was told
    if not isinstance(role, str) or role not in _ROLES:
        return "unreadable_request"
    content = _text(message.get("content"))
    return "not_text" if content is None else {"role": _ROLES[role], "content": content}


def _text(content: object) -> str | None:
    """A message's text, its parts joined; None where something else is among them."""
    if content is None:
        return ""
    parts = content if isinstance(content, list) else [content]
    texts: list[str] = []
    for part in parts:
        text = part.get("text") if isinstance(part, dict) and part.get("type") in _TEXT_PARTS else part
        if not isinstance(text, str):
            return None
        texts.append(text)
    return well_formed("".join(texts))


def _of_responses(body: Mapping[str, Any]) -> Messages | NoQuestion:
    asked = body.get("input")
    return _joined([{"role": "user", "content": asked}] if isinstance(asked, str) else asked, body.get("instructions"))


def _of_completions(body: Mapping[str, Any]) -> Messages | NoQuestion:
    """A text that is to go on is asked as a question of the user, as whoever trains on both would."""
    prompt = body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str) or body.get("echo") or body.get("suffix"):
        return "not_text"
    return [{"role": "user", "content": well_formed(prompt)}]
