"""The process of the tests: they run here, and meet the answer's functions by messages only.

A `Proxy` stands for each object of the answer's. A test may call it, look at its parts, and take it apart; it may not
ask it what it is equal to, or add it to anything: an object of the answer's own would be asked to judge itself, and it
would be shown what is expected. What a function returns as plain data is a copy, which no code of the answer's touches.
"""

from __future__ import annotations

import builtins
import types
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from .link import Ended, Link, Malformed
from .plain import decode, encode, refill

OF_THE_ANSWER = "of_the_answer"
"""The attribute of an exception that the answer's code raised: its name and words."""
MISSING = object()

_UNREADABLE = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError)
_DOUBTFUL = {
    "MemoryError": "the answer's code ran out of the memory that it may use",
    "OSError": "the answer's code tried what the sandbox refuses",
    "ImportError": "the answer's code needs what the sandbox does not have",
    "can't start new thread": "the answer's code ran out of the memory that it may use",
}
"""Exceptions, by a built-in class or by their words, that may be the sandbox's fault."""


class Undecided(BaseException):
    """A test asked what only the answer itself could say."""


class TestSide:
    """Asks the answer's process, and keeps in mind what forbids to call the answer right."""

    __test__ = False

    def __init__(self, link: Link) -> None:
        self._link = link
        self._theirs: list[Callable[..., object]] = []
        self._exceptions: dict[str, type[BaseException]] = {}
        self.calls = 0
        """Of the answer's code."""
        self.doubt: str | None = None
        """Why the answer cannot be judged, whatever the tests say after all."""
        self.failure: AssertionError | None = None
        """What a test's function found that the answer called back, and may have caught."""
        self.ended: Ended | None = None
        self.has_objects = False
        """Whether a test has met an object of the answer's that is no function."""

    def run(self, sources: Sequence[str]) -> None:
        self._ask(["run", list(sources)], [])

    def forget(self, name: str) -> None:
        self._ask(["forget", name], [])

    def named(self, name: str) -> Any:
        """A global of the answer's; MISSING where there is none."""
        return self._ask(["name", name], [])

    def call(self, target: Any, arguments: tuple[object, ...], keywords: dict[str, object]) -> Any:
        self.calls += 1
        given = [*arguments, *keywords.values()]
        named = {name: self._encoded(each) for name, each in keywords.items()}
        return self._ask(["call", target, [self._encoded(each) for each in arguments], named], given)

    def operate(self, name: str, target: Any, *arguments: object) -> Any:
        self.calls += 1
        return self._ask(["operate", name, target, [self._encoded(each) for each in arguments]], [])

    def undecided(self, why: str) -> NoReturn:
        """Raises Undecided, and keeps in mind that the answer cannot be called right."""
        self.doubt = self.doubt or why
        raise Undecided(why)

    def _ask(self, message: list[Any], given: Sequence[object]) -> Any:
        """What the answer's process replies, which may ask for calls of the tests' functions first.

        Raises what the answer's code raised, Ended, and Malformed where the reply is none that `answer_side` gives.
        """
        self._link.send(message)
        while True:
            try:
                kind, *parts = self._link.receive()
                if kind == "call back":
                    reply = self._called_back(*parts)
                elif kind == "raised":
                    raised = self._error(*parts)
                    break
                elif kind == "no such name":
                    return MISSING
                else:
                    return self._value(kind, given, *parts)
            except _UNREADABLE as error:
                self.ended = Malformed()
                raise self.ended from error
            except Ended as ended:
                self.ended = ended
                raise
            self._link.send(reply)
        raise raised

    def _value(self, kind: str, given: Sequence[object], value: Any, changed: list[Any]) -> Any:
        for index, after in changed:
            refill(given[index], self._decoded(after))
        return given[value] if kind == "argument" else self._decoded(value)

    def _error(self, name: str, bases: list[str], arguments: list[Any], words: str) -> BaseException:
        """The exception that is raised here for one that was raised there."""
        for base, doubt in _DOUBTFUL.items():
            if base in bases or base == words:
                self.doubt = self.doubt or f"{doubt} ({name}: {words})"
        kind = self._exception(name, bases)
        try:
            error = kind(*(arguments or [words]))
        except TypeError:  # some want more than was sent
            error = Exception(words)
        error.__dict__[OF_THE_ANSWER] = f"{name}: {words}" if words else name
        return error

    def _exception(self, name: str, bases: list[str]) -> type[BaseException]:
        """A class that stands for one of the answer's: a built-in one for itself, else one made from its bases."""
        base = next((kind for each in bases if (kind := _builtin_exception(each)) is not None), Exception)
        if base.__name__ == name:
            return base
        return self._exceptions.setdefault(name, type(name, (base,), {}))

    def _called_back(self, number: int, arguments: list[Any], keywords: dict[str, Any]) -> list[Any]:
        try:
            named = {name: self._decoded(each) for name, each in keywords.items()}
            result = self._theirs[number](*map(self._decoded, arguments), **named)
            return ["returned", self._encoded(result)]
        except AssertionError as error:
            self.failure = self.failure or error
            return ["failed", "AssertionError", []]
        except Exception as error:  # noqa: BLE001 - a test's function may raise what it likes, to its caller
            return ["failed", type(error).__name__, [str(error)]]

    def _encoded(self, value: object) -> Any:
        return encode(value, self._numbered)

    def _numbered(self, value: object) -> list[Any]:
        if type(value) is Proxy:
            return list(_target(value))
        name = getattr(value, "__name__", None)
        if name is not None and getattr(builtins, name, None) is value:
            return ["builtin", name]
        if not isinstance(value, types.FunctionType | types.BuiltinFunctionType | types.MethodType | type):
            self.undecided(f"a test hands the answer an object of its own ({type(value).__name__})")
        for number, known in enumerate(self._theirs):
            if known is value:
                return ["theirs", number]
        self._theirs.append(value)
        return ["theirs", len(self._theirs) - 1]

    def _decoded(self, value: Any) -> Any:
        return decode(value, self._other)

    def _other(self, value: list[Any]) -> object:
        tag, number, *rest = value
        if tag == "theirs":
            return self._theirs[number]
        if tag == "exception":
            return self._exception(*rest)
        if tag == "builtin":
            kind = getattr(builtins, number)
            if not isinstance(kind, type):
                raise TypeError("of what is built in, only types are sent")
            return kind
        kind, name = rest
        self.has_objects = self.has_objects or kind != "function"
        return Proxy(self, ("object", int(number)), str(name))


class Proxy:
    """An object of the answer's."""

    __slots__ = ("__name", "__side", "__target")

    def __init__(self, side: TestSide, target: tuple[str, int], name: str) -> None:
        object.__setattr__(self, "_Proxy__side", side)
        object.__setattr__(self, "_Proxy__target", target)
        object.__setattr__(self, "_Proxy__name", name)

    def __call__(self, *arguments: object, **keywords: object) -> Any:
        return self.__side.call(self.__target, arguments, keywords)

    def __getattr__(self, name: str) -> Any:
        return self.__side.operate("getattr", self.__target, name)

    def __setattr__(self, name: str, value: object) -> None:
        self.__side.operate("setattr", self.__target, name, value)

    def __delattr__(self, name: str) -> None:
        self.__side.operate("delattr", self.__target, name)

    def __eq__(self, other: object) -> bool:
        return True if type(other) is Proxy and _target(other) == self.__target else self.__undecided()

    def __hash__(self) -> int:
        return hash(self.__target)

    def __str__(self) -> str:
        return self.__text("str")

    def __repr__(self) -> str:
        return self.__text("repr")

    def __instancecheck__(self, value: object) -> bool:
        return type(value) is Proxy and self.__side.operate("isinstance", self.__target, value) is True

    def __exit__(self, *_: object) -> None:
        self.__side.operate("exit", self.__target)

    @property  # type: ignore[misc]  # it is only ever read
    def __class__(self) -> Any:
        """What `isinstance` looks at, where a test asks whether a result is a list."""
        self.__undecided()

    def __text(self, operation: str) -> str:
        text = self.__side.operate(operation, self.__target)
        return str(text) if type(text) is str else ""

    def __undecided(self, *_: object) -> NoReturn:
        _side(self).undecided(f"a test compares an object of a class of the answer's own ({self.__name})")

    __ne__ = __undecided


def _forwarded(operation: str) -> Callable[..., Any]:
    def forward(self: Proxy, *arguments: object) -> Any:
        return _side(self).operate(operation, _target(self), *arguments)

    return forward


def _refused(self: Proxy, *_: object) -> NoReturn:
    _side(self).undecided("a test computes with an object of a class of the answer's own")


for _name in ("iter", "next", "len", "bool", "int", "float", "abs", "getitem", "setitem", "delitem", "enter"):
    setattr(Proxy, f"__{_name}__", _forwarded(_name))
_ARITHMETIC = "add sub mul truediv floordiv mod divmod pow matmul and or xor lshift rshift".split()  # noqa: SIM905
for _name in [*_ARITHMETIC, *(f"r{name}" for name in _ARITHMETIC), "lt", "le", "gt", "ge", "contains", "index"]:
    setattr(Proxy, f"__{_name}__", _refused)


def _builtin_exception(name: str) -> type[BaseException] | None:
    kind = getattr(builtins, name, None)
    return kind if isinstance(kind, type) and issubclass(kind, BaseException) else None


def _side(proxy: Proxy) -> TestSide:
    side: TestSide = object.__getattribute__(proxy, "_Proxy__side")
    return side


def _target(proxy: Proxy) -> tuple[str, int]:
    target: tuple[str, int] = object.__getattribute__(proxy, "_Proxy__target")
    return target
