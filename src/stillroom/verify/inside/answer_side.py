"""The process of the answer: its code runs here, and does what the tests' process asks of it.

Nothing here is a secret or a judge. Whatever the code does to this process, it can only send other messages, and a
message is worth no more than what a function returns.
"""

from __future__ import annotations

import builtins
import operator
import sys
import types
from collections.abc import Callable
from typing import Any, NoReturn

from .link import Ended, Link
from .plain import CHANGEABLE, decode, encode

MODULE = "answer"
"""The name of the module that the code runs as. Not `__main__`: what is below that test is no part of a solution."""


class AnswerSide:
    """Serves one answer's objects to the other side, until that one hangs up."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._objects: list[object] = []
        self._numbers: dict[int, int] = {}
        module = types.ModuleType(MODULE)
        sys.modules[MODULE] = module
        self._names = module.__dict__

    def serve(self) -> NoReturn:
        while True:
            self._serve_one(self._link.receive())

    def _serve_one(self, message: list[Any]) -> None:
        operation, *arguments = message
        try:
            reply = getattr(self, f"_do_{operation}")(*arguments)
        except Ended:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever the answer's code raises is its outcome
            reply = ["raised", *_described(error)]
        try:
            self._link.send(reply)
        except (ValueError, RecursionError, MemoryError) as error:
            self._link.send(["raised", *_described(error)])

    # What the other side asks for

    def _do_run(self, sources: list[str]) -> list[Any]:
        """Run sources one after the other, in the one module."""
        for source in sources:
            exec(compile(source, "<answer>", "exec", dont_inherit=True), self._names)
        return ["value", True, []]

    def _do_name(self, name: str) -> list[Any]:
        """A global of the answer's."""
        return ["value", self._encoded(self._names[name]), []] if name in self._names else ["no such name"]

    def _do_forget(self, name: str) -> list[Any]:
        self._names.pop(name, None)
        return ["value", True, []]

    def _do_call(self, target: Any, positional: list[Any], named: dict[str, Any]) -> list[Any]:
        function: Any = self._decoded(target)
        arguments = [self._decoded(each) for each in positional]
        keywords = {name: self._decoded(each) for name, each in named.items()}
        given = [*arguments, *keywords.values()]
        before = [self._copied(each) for each in given]
        result = function(*arguments, **keywords)
        changed = [
            [index, after]
            for index, each in enumerate(given)
            if before[index] is not None and (after := self._copied(each)) != before[index]
        ]
        for index, each in enumerate(given):
            if result is each and isinstance(each, CHANGEABLE):
                return ["argument", index, changed]
        return ["value", self._encoded(result), changed]

    def _do_operate(self, name: str, target: Any, arguments: list[Any]) -> list[Any]:
        operate = _OPERATIONS[name]
        return ["value", self._encoded(operate(self._decoded(target), *map(self._decoded, arguments))), []]

    # Values

    def _copied(self, value: object) -> Any:
        """What a container holds now, as it is sent; None for what cannot be changed in place."""
        return self._encoded(value) if type(value) in CHANGEABLE else None

    def _encoded(self, value: object) -> Any:
        return encode(value, self._numbered)

    def _numbered(self, value: object) -> list[Any]:
        if isinstance(value, _Theirs):
            return ["theirs", value.number]
        name = value.__name__ if isinstance(value, type) else None
        if name is not None and vars(builtins).get(name) is value:
            return ["builtin", name]
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._objects)
            self._objects.append(value)
        if isinstance(value, type) and issubclass(value, BaseException):
            return ["exception", number, value.__name__, _bases(value)]
        kind = "class" if isinstance(value, type) else "function" if callable(value) else "object"
        return ["object", number, kind, type(value).__name__]

    def _decoded(self, value: Any) -> Any:
        return decode(value, self._other)

    def _other(self, value: list[Any]) -> object:
        tag, number = value
        if tag == "builtin":
            found: object = getattr(builtins, number)
            return found
        return self._objects[number] if tag == "object" else _Theirs(number, self._call_back)

    def _call_back(self, number: int, arguments: tuple[object, ...], keywords: dict[str, object]) -> object:
        """Call a function that a test handed over; the other side may ask for more before it replies."""
        encoded = {name: self._encoded(each) for name, each in keywords.items()}
        self._link.send(["call back", number, [self._encoded(each) for each in arguments], encoded])
        while True:
            message = self._link.receive()
            if message[0] == "returned":
                return self._decoded(message[1])
            if message[0] == "failed":
                raise _builtin_error(message[1])(*message[2])
            self._serve_one(message)


class _Theirs:
    """A function of a test's."""

    def __init__(self, number: int, call: Callable[[int, tuple[object, ...], dict[str, object]], object]) -> None:
        self.number = number
        self._call = call

    def __call__(self, *arguments: object, **keywords: object) -> object:
        return self._call(self.number, arguments, keywords)


_OPERATIONS: dict[str, Callable[..., object]] = {
    "getattr": getattr,
    "setattr": setattr,
    "delattr": delattr,
    "getitem": operator.getitem,
    "setitem": operator.setitem,
    "delitem": operator.delitem,
    "isinstance": lambda kind, value: isinstance(value, kind),
    "enter": lambda value: value.__enter__(),
    "exit": lambda value: value.__exit__(None, None, None),
    **{name: getattr(builtins, name) for name in ("iter", "next", "len", "bool", "str", "repr", "int", "float", "abs")},
}


def _described(error: BaseException) -> list[Any]:
    """The name of an exception, those of its built-in bases, what it was made with, and its words."""
    arguments = [each for each in error.args if isinstance(each, str | int | float | bool | None)]
    try:
        words = str(error)[:500]
    except Exception:  # noqa: BLE001 - `__str__` may be the answer's own code: what it raises is of no known kind
        words = ""
    return [type(error).__name__, _bases(type(error)), arguments, words]


def _bases(kind: type[BaseException]) -> list[str]:
    return [each.__name__ for each in kind.__mro__ if each.__module__ == "builtins"]


def _builtin_error(name: str) -> type[BaseException]:
    kind = getattr(builtins, name, Exception)
    return kind if isinstance(kind, type) and issubclass(kind, BaseException) else Exception
