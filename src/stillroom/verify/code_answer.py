"""Kind `code`: the Python of an answer, run against tests in the sandbox.

Tests are `meta["tests"]`, Python source; or they come in the columns that public sets of questions have: `test` and
`entry_point` (HumanEval: a function `check` is called with what the answer defines), `test_list`, `test_imports` and
`test_setup_code` (MBPP); or they are `meta["cases"]`, a list of `{"input": ..., "output": ...}` for a program that
reads its standard input. Only the standard library is there.

Which code is judged: the last fenced block of Python (in an answer tag, where there is one) that defines what the tests
use, or that reads the input; blocks before it are run first where it does not pass alone. Blocks without a language
count where none is marked as Python, and an answer without blocks where it begins as code does. Where several blocks
define the same, and the last one fails, the verdict is unsure.
"""

from __future__ import annotations

import builtins
import json
import math
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from stillroom.base.records import Question
from stillroom.verify.fences import fenced_blocks
from stillroom.verify.inside.names import free_names
from stillroom.verify.judgement import Judgement
from stillroom.verify.markers import marked_answers
from stillroom.verify.sandbox import Sandbox, shared

_PYTHON = ("python", "py", "python3", "py3")
# What code begins with, after comments: a line that no prose begins with.
_BEGINNING = re.compile(
    r"""
    (?:\s*\#[^\n]*\n)* \s*
    (?: @\w | (?:async\s+)?def\s+\w+\s*\( | class\s+\w+\s*[(:] | import\s+\w+\s*(?:$|[,\n]|as\b) | from\s+\S+\s+import\b
      | [A-Za-z_]\w*\s*(?:,\s*\w+\s*)*=[^=] | [A-Za-z_][\w.]*\( | (?:for|while|if|with)\b[^\n]*:\s*\n | try:\s*\n
    )
    """,
    re.VERBOSE,
)
_READS = re.compile(r"\binput\s*\(|\bstdin\b|\bopen\s*\(\s*0\b|\bfileinput\b")
_DOUBTFUL = tuple(
    name
    for name, kind in vars(builtins).items()
    if isinstance(kind, type) and issubclass(kind, OSError | ImportError | MemoryError)
)
"""The names of errors that may be the sandbox's fault."""


@dataclass(frozen=True, slots=True)
class Tests:
    """What the code of an answer has to pass."""

    __test__ = False

    sources: tuple[str, ...] = ()
    entry_point: str | None = None
    before: tuple[str, ...] = ()
    """Runs before the answer's code, in its module."""
    cases: tuple[tuple[str, str], ...] = ()
    """Inputs and outputs of a program."""


def verify_code(question: Question, answer: str, sandbox: Sandbox | None = None) -> Judgement:
    """Raises SandboxError where the sandbox cannot be started. Any thread may call."""
    started = time.perf_counter()
    return replace(_judged(question, answer, sandbox or shared()), seconds=time.perf_counter() - started)


def verify_code_many(pairs: Sequence[tuple[Question, str]]) -> list[Judgement]:
    """`verify_code` of each, in order, as many side by side as the sandbox has places."""
    if not pairs:
        return []
    with ThreadPoolExecutor(max_workers=shared().count) as threads:
        return list(threads.map(lambda pair: verify_code(*pair), pairs))


def read_tests(meta: dict[str, Any], asked: str = "") -> Tests | None:
    """The tests that a question has; None where it has none. `asked`: its text, which may hold the code to go on from.

    Raises ValueError where there are tests that are not of any of these forms.
    """
    written = meta.get("tests", meta.get("test", meta.get("test_list")))
    sources = _texts("tests", written)
    cases = _cases(meta.get("cases"))
    if not sources and not cases:
        return None
    entry_point = meta.get("entry_point")
    if entry_point is not None and not (isinstance(entry_point, str) and entry_point.isidentifier()):
        raise ValueError("entry_point is not a name")
    before = _texts("test_setup_code", meta.get("test_setup_code"))
    for prompt in (meta.get("prompt"), asked):
        if isinstance(prompt, str) and entry_point and _defines(prompt, [entry_point]) and _is_code(prompt):
            before = [prompt, *before]
            break
    imports = _texts("test_imports", meta.get("test_imports"))
    return Tests(tuple([*imports, *sources] if sources else ()), entry_point, tuple(before), cases)


def _judged(question: Question, answer: str, sandbox: Sandbox) -> Judgement:
    try:
        tests = read_tests(question.meta, question.messages[-1].content)
    except ValueError as error:
        return Judgement("unsure", f"the tests cannot be used: {error}")
    if tests is None:
        return Judgement("unverifiable", "the question has no tests")
    if not answer.strip():
        return Judgement("wrong", "the answer is empty")
    versions = _versions(answer, tests)
    if not versions:
        return Judgement("unsure", "no Python was found in the answer")
    protection = sandbox.protection()
    if not protection.is_enough:
        return Judgement("unverifiable", protection.sentence)
    last = versions[-1]
    judgement = _run(last.code, tests, sandbox)
    if judgement.verdict == "wrong" and last.with_those_before is not None:
        together = _run(last.with_those_before, tests, sandbox)
        judgement = together if together.verdict == "right" else judgement
    if judgement.verdict == "wrong" and len({version.code for version in versions}) > 1:
        return replace(judgement, verdict="unsure", reason=f"the last of {len(versions)} versions: {judgement.reason}")
    return judgement


# Which code


@dataclass(frozen=True, slots=True)
class _Version:
    """One block that may be the answer."""

    code: str
    with_those_before: str | None
    """The same with the blocks that stand before it; None where there are none."""


def _versions(answer: str, tests: Tests) -> list[_Version]:
    tagged = [one.text for one in marked_answers(answer) if one.mark == "tag"]
    blocks = (_blocks(tagged[-1]) if tagged else []) or _blocks(answer)
    if not blocks:
        return []
    names = _tested_names(tests)
    fitting = [index for index, block in enumerate(blocks) if _fits(block, names)]
    if not fitting and names and _defines("\n".join(blocks), names):
        return [_Version("\n\n".join(blocks), None)]  # in several parts
    fitting = fitting or [len(blocks) - 1]
    return [
        _Version(blocks[index], "\n\n".join(blocks[: index + 1]) if index else None)
        for index in fitting
    ]  # fmt: skip


def _blocks(text: str) -> list[str]:
    """The Python of a text, block by block."""
    blocks = [block for block in fenced_blocks(text) if block.text.strip()]
    python = [block.text for block in blocks if block.language in _PYTHON]
    if python or blocks:
        return python or [block.text for block in blocks if not block.language]
    return [text] if _is_code(text) else []


def _is_code(text: str) -> bool:
    return bool(_BEGINNING.match(text))


def _fits(block: str, names: Sequence[str]) -> bool:
    return _defines(block, names) if names else bool(_READS.search(block))


def _defines(code: str, names: Sequence[str]) -> bool:
    """Whether a source defines all of the names, as far as its lines show."""
    return all(
        re.search(
            rf"^(?:(?:async\s+)?def|class)\s+{name}\b|^{name}\s*(?::[^=\n]+)?=(?!=)|^from\s.*\bimport\b.*\b{name}\b",
            code,
            re.MULTILINE,
        )
        for name in names
    )


def _tested_names(tests: Tests) -> list[str]:
    """What an answer must define; nothing for a program."""
    if tests.entry_point is not None:
        return [tests.entry_point]
    found = dict(name for index, source in enumerate(tests.sources) for name in _free_names(source, index))
    given = "\n".join(tests.before)
    called = [name for name, is_module in found.items() if not is_module and not _defines(given, [name])]
    own = [name for name in called if not hasattr(builtins, name)]
    return own or [name for name in called if not isinstance(getattr(builtins, name), type)][:1]


def _free_names(source: str, index: int) -> list[tuple[str, bool]]:
    try:
        return list(free_names(source, index))
    except (SyntaxError, ValueError):
        return []  # the tests will say so themselves


# Running it


def _run(code: str, tests: Tests, sandbox: Sandbox) -> Judgement:
    try:
        judgement = _run_tests(code, tests, sandbox) if tests.sources else None
        if judgement is not None and (judgement.verdict != "right" or not tests.cases):
            return judgement
        return _run_cases(code, tests.cases, sandbox)
    except TimeoutError:
        return Judgement("unsure", f"running it took more than {sandbox.limit_s:g} seconds", code)
    except EOFError:
        return Judgement("unsure", "the process of the tests was ended", code)


def _run_tests(code: str, tests: Tests, sandbox: Sandbox) -> Judgement:
    with sandbox.conversation("tests") as talk:
        talk.send(
            {"before": tests.before, "code": code, "tests": tests.sources, "entry_point": tests.entry_point}
        )  # fmt: skip
        reply = talk.receive()
    return Judgement(reply["verdict"], reply["reason"], code)


def _run_cases(code: str, cases: Sequence[tuple[str, str]], sandbox: Sandbox) -> Judgement:
    with sandbox.conversation("program") as talk:
        talk.send({"code": code})
        for number, (given, expected) in enumerate(cases, start=1):
            talk.send({"input": given})
            found = _case_judgement(talk.receive(), expected)
            if found is not None:
                verdict, reason = found
                return Judgement("unsure" if verdict == "unsure" else "wrong", f"case {number}: {reason}", code)
    return Judgement("right", f"all {len(cases)} cases pass" if len(cases) > 1 else "the case passes", code)


def _case_judgement(reply: dict[str, Any], expected: str) -> tuple[str, str] | None:
    """Verdict and reason; None where the output is the expected one."""
    output = reply["output"]
    if output is None:
        return "unsure", "it writes more than 1 MiB"
    if reply["fault"] is not None:
        verdict, reason = reply["fault"]
        last_line = (reply["last_words"].strip().splitlines() or [""])[-1]
        is_doubtful = last_line.startswith(_DOUBTFUL)
        return ("unsure" if is_doubtful else verdict), _short(last_line) if last_line else reason
    if _lines(output) == _lines(expected):
        return None
    words, expected_words = output.split(), expected.split()
    if words == expected_words:
        return "unsure", "the output is the expected one but for white space"
    if len(words) == len(expected_words) and all(map(_same_number, words, expected_words)):
        return "unsure", "the output is the expected one but for how numbers are written"
    return "wrong", f"expected {_short(expected)!r}, found {_short(output)!r}"


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().splitlines()]


def _same_number(one: str, other: str) -> bool:
    if one == other:
        return True
    try:
        return math.isclose(float(one), float(other), rel_tol=1e-6, abs_tol=1e-9)
    except ValueError:
        return False


# What the columns of a question hold


def _texts(name: str, value: Any) -> list[str]:
    if isinstance(value, str) and value.lstrip().startswith("["):  # a list as CSV holds it
        try:
            value = json.loads(value)
        except ValueError:
            value = [value]
    listed = [value] if isinstance(value, str) else value or []
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise ValueError(f"{name} is neither text nor a list of texts")
    return [each for each in listed if each.strip()]


def _cases(value: Any) -> tuple[tuple[str, str], ...]:
    if isinstance(value, str):
        value = json.loads(value)
    cases = value or []
    if not isinstance(cases, list) or not all(isinstance(case, dict) for case in cases):
        raise ValueError("cases is not a list of objects")
    texts = [(case.get("input", ""), case.get("output")) for case in cases]
    if not all(isinstance(given, str) and isinstance(expected, str) for given, expected in texts):
        raise ValueError("a case holds other things than the texts input and output")
    return tuple(texts)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 100 else text[:97] + "..."
