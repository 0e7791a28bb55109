"""Running tests against an answer: what is run, and what its outcome says of the answer."""

from __future__ import annotations

import builtins
import importlib
import inspect
import io
import sys
import traceback
import types
import unittest
from collections.abc import Sequence
from typing import Any, NamedTuple

from .link import Link
from .names import file_of, free_names
from .test_side import MISSING, OF_THE_ANSWER, Proxy, TestSide, Undecided

_OF_THE_TESTS = (ImportError, SyntaxError, NameError, MemoryError, SystemExit)
"""What tests raise that are mistaken themselves."""


class Outcome(NamedTuple):
    verdict: str
    """right, wrong or unsure."""
    reason: str


def judge(link: Link, before: Sequence[str], code: str, tests: Sequence[str], entry_point: str | None) -> Outcome:
    """Run `code` in the answer's process, and then `tests` here, one after the other, in one namespace.

    `before`: sources that run before the code, in its module. `entry_point`: what it must define; a function `check` of
    the tests is called with it. Raises Ended where the answer's process has ended.
    """
    side = TestSide(link)
    loaded = _loaded(side, before, code, entry_point)
    if loaded is not None:
        return loaded
    entry = MISSING if entry_point is None else side.named(entry_point)
    if entry_point is not None and entry is MISSING:
        return Outcome("wrong", f"the code defines no {entry_point}")
    try:
        free = [name for index, source in enumerate(tests) for name in free_names(source, index)]
    except SyntaxError as mistake:
        return Outcome("unsure", f"the tests cannot be compiled: {mistake}")
    namespace, missing = _namespace(side, free, entry_point, entry)
    if missing and not any(type(value) is Proxy for value in namespace.values()):
        return Outcome("wrong", f"the code defines no {missing[0]}")
    error: BaseException | None
    try:
        message = _run(side, tests, namespace, entry)
        error = None if message is None else AssertionError(message)
    except Exception as raised:  # noqa: BLE001 - whatever a test raises is its outcome
        error = raised
    except (Undecided, SystemExit, KeyboardInterrupt, GeneratorExit) as raised:
        error = raised
    if side.ended is not None:  # whoever caught it
        raise side.ended
    return _outcome(side, error or side.failure, tests)


def _loaded(side: TestSide, before: Sequence[str], code: str, entry_point: str | None) -> Outcome | None:
    """None where the code runs; else what is to be said of it."""
    try:
        side.run(before)
    except Exception as error:  # noqa: BLE001 - as above
        return Outcome("unsure", f"what comes before the code fails: {_words(error)}")
    if entry_point is not None:
        side.forget(entry_point)  # the question's own stub is no answer
    try:
        side.run([code])
    except BaseException as error:
        if not hasattr(error, OF_THE_ANSWER):
            raise
        return Outcome("unsure", side.doubt) if side.doubt else Outcome("wrong", f"the code raises {_words(error)}")
    return None


def _namespace(
    side: TestSide, free: Sequence[tuple[str, bool]], entry_point: str | None, entry: Any
) -> tuple[dict[str, Any], list[str]]:
    """What tests see, and the names that nobody defines.

    A name that they use and do not define is a module of the standard library where a part of it is asked for, and else
    the answer's. What is built in is the answer's only where the tests use nothing else of it.
    """
    namespace: dict[str, Any] = {"__name__": "tests"}
    missing = []
    for name, is_module in free:
        if hasattr(builtins, name) or name == entry_point:
            continue
        if is_module and name in sys.stdlib_module_names:
            namespace[name] = importlib.import_module(name)
        elif (value := side.named(name)) is not MISSING:
            namespace[name] = value
        else:
            missing.append(name)
    if entry_point is not None:
        if not hasattr(builtins, entry_point):
            namespace[entry_point] = entry
    elif not missing and not any(type(value) is Proxy for value in namespace.values()):
        for name, _ in free:
            if hasattr(builtins, name) and (value := side.named(name)) is not MISSING:
                namespace[name] = value
    return namespace, missing


def _run(side: TestSide, tests: Sequence[str], namespace: dict[str, Any], entry: Any) -> str | None:
    """Run the tests; what they consist of decides how. Returns the message of a failed unittest."""
    given = set(namespace)
    for index, source in enumerate(tests):
        exec(compile(source, file_of(index), "exec", dont_inherit=True), namespace)
    defined = {name: value for name, value in namespace.items() if name not in given and type(value) is not Proxy}
    check = defined.get("check")
    if isinstance(check, types.FunctionType) and entry is not MISSING:
        check(entry)
    for name, value in defined.items():
        if name.startswith("test") and isinstance(value, types.FunctionType):
            if inspect.iscoroutinefunction(value) or inspect.signature(value).parameters:
                side.undecided(f"the tests have a function {name} that is not called like this")
            value()
    classes = [value for value in defined.values() if isinstance(value, type)]
    cases = [each for each in classes if issubclass(each, unittest.TestCase)]
    if any(each.__name__.startswith("Test") for each in classes if each not in cases):
        side.undecided("the tests have a class of tests that is none of unittest's")
    if not cases:
        return None
    loader = unittest.defaultTestLoader
    suite = unittest.TestSuite(loader.loadTestsFromTestCase(case) for case in cases)
    result = unittest.TextTestRunner(io.StringIO(), verbosity=0).run(suite)
    for case, text in [*result.failures, *result.errors]:
        return f"{case.id()}: {text.strip().splitlines()[-1]}"
    return None


def _outcome(side: TestSide, error: BaseException | None, tests: Sequence[str]) -> Outcome:
    if side.doubt is not None:
        return Outcome("unsure", side.doubt)
    if side.calls == 0:
        why = "" if error is None else f": {_words(error)}"
        return Outcome("unsure", f"the tests never call the code of the answer{why}")
    if error is None:
        return Outcome("right", "all tests pass")
    place = _place(error, tests)
    if hasattr(error, OF_THE_ANSWER):
        return Outcome("wrong", f"raises {_words(error)}{place}")
    if isinstance(error, AssertionError):
        words = str(error)
        return Outcome("wrong", f"a test fails{place}" + (f": {_short(words)}" if words else ""))
    if isinstance(error, _OF_THE_TESTS) or side.has_objects:
        return Outcome("unsure", f"the tests raise {_words(error)}{place}")
    return Outcome("wrong", f"a test raises {_words(error)}{place}")


def _place(error: BaseException, tests: Sequence[str]) -> str:
    """The line of the tests where it happened."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        for index, source in enumerate(tests):
            if frame.filename == file_of(index) and frame.lineno is not None:
                return f" at `{_short(source.splitlines()[frame.lineno - 1].strip())}`"
    return ""


def _words(error: BaseException) -> str:
    of_the_answer: str | None = getattr(error, OF_THE_ANSWER, None)
    return _short(of_the_answer or f"{type(error).__name__}: {error}")


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 200 else text[:197] + "..."
