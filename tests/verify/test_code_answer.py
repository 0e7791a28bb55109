"""code: which code of an answer is run, in which forms tests come, and what is said of it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest

from stillroom.base.records import Message, Question
from stillroom.verify import verify, verify_many
from stillroom.verify.code_answer import Tests, read_tests, verify_code
from stillroom.verify.judgement import Judgement
from stillroom.verify.sandbox import Sandbox

HUMAN_EVAL_PROMPT = '''from typing import List


def twice(numbers: List[int]) -> List[int]:
    """Each number, doubled.
    >>> twice([1, 2])
    [2, 4]
    """
'''
HUMAN_EVAL_TEST = """

METADATA = {'author': 'test', 'dataset': 'test'}


def check(candidate):
    assert candidate([]) == []
    assert candidate([1, 2]) == [2, 4], "doubles"
"""
RIGHT = "def twice(numbers: List[int]) -> List[int]:\n    return [2 * n for n in numbers]"
WRONG = "def twice(numbers):\n    return numbers + numbers"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox(limit_s=60.0, count=1)
    yield sandbox
    sandbox.close()


def question(text: str = "?", **meta: Any) -> Question:
    return Question(id="q", messages=(Message(role="user", content=text),), kind="code", source="test", meta=meta)


def fenced(*blocks: str, language: str = "python") -> str:
    return "\n\nand\n\n".join(f"```{language}\n{textwrap.dedent(block).strip()}\n```" for block in blocks)


def judged(sandbox: Sandbox, answer: str, **meta: Any) -> Judgement:
    return verify_code(question(**meta), answer, sandbox)


HUMAN_EVAL = {"text": HUMAN_EVAL_PROMPT, "test": HUMAN_EVAL_TEST, "entry_point": "twice"}


def test_human_eval(sandbox: Sandbox) -> None:
    assert judged(sandbox, fenced(RIGHT), **HUMAN_EVAL).verdict == "right"
    wrong = judged(sandbox, fenced(WRONG), **HUMAN_EVAL)
    assert (wrong.verdict, wrong.reason) == (
        "wrong",
        'a test fails at `assert candidate([1, 2]) == [2, 4], "doubles"`: doubles',
    )
    assert wrong.extracted == WRONG
    assert wrong.seconds > 0


def test_the_stub_of_the_question_is_no_answer(sandbox: Sandbox) -> None:
    empty = {"text": HUMAN_EVAL_PROMPT, "test": "def check(candidate):\n    assert candidate([]) is None"}
    judgement = judged(sandbox, fenced("def thrice(n): return n"), entry_point="twice", **empty)
    assert (judgement.verdict, judgement.reason) == ("wrong", "the code defines no twice")


def test_helpers_of_the_prompt_are_there(sandbox: Sandbox) -> None:
    prompt = "import math\n\ndef half(n):\n    return n / 2\n\ndef quarter(n):\n    '''A quarter.'''\n"
    test = "def check(candidate):\n    assert candidate(8) == 2"
    answer = fenced("def quarter(n):\n    return half(half(math.floor(n)))")
    assert judged(sandbox, answer, prompt=prompt, test=test, entry_point="quarter").verdict == "right"


MBPP = {
    "test_list": ["assert add(1, 2) == 3", "assert add(-1, 1) == 0"],
    "test_setup_code": "",
    "challenge_test_list": [],
}


def test_mbpp(sandbox: Sandbox) -> None:
    assert judged(sandbox, fenced("def add(a, b): return a + b"), **MBPP).verdict == "right"
    wrong = judged(sandbox, fenced("def add(a, b): return abs(a) + b"), **MBPP)
    assert (wrong.verdict, wrong.reason) == ("wrong", "a test fails at `assert add(-1, 1) == 0`")
    as_csv_holds_it = {"test_list": json.dumps(MBPP["test_list"])}
    assert judged(sandbox, fenced("def add(a, b): return a + b"), **as_csv_holds_it).verdict == "right"


@pytest.mark.parametrize(
    ("tests", "code", "verdict"),
    [
        # imports of the tests, and modules that they use without importing them
        (["import math", "assert math.isclose(f(2), 1.41421356, rel_tol=1e-3)"], "f = lambda x: x ** 0.5", "right"),
        (["assert math.isclose(f(2), 1.41421356, rel_tol=1e-3)"], "import math\nf = math.sqrt", "right"),
        (["assert math.isclose(f(2), 1.5)"], "class math:\n    isclose = lambda *a: True\nf = lambda x: 0", "wrong"),
        # a function that is named as what is built in
        (["assert sum(10, 15) == 6"], "def sum(a, b): return 6", "right"),
        (["assert set(f(1)) == set([1, 2])"], "set = lambda *a: 5\ndef f(x): return [1]", "wrong"),
        # containers, changed in place or given back
        (["x = [3, 1]\nf(x)\nassert x == [1, 3]"], "def f(x): x.sort()", "right"),
        (["x = {'a': [1]}\nf(x)\nassert x == {'a': [1, 2], 'b': 0}"],
         "def f(x):\n    x['a'].append(2)\n    x['b'] = 0", "right"),
        (["x = [3]\nassert f(x) is x"], "def f(x): return x", "right"),
        (["x = [3]\nassert f(x) is not x"], "def f(x): return list(x)", "right"),
        (["x = {1}\nf(items=x)\nassert x == set()"], "def f(items): items.clear()", "right"),
        # every type of plain data
        (["assert f() == ((1, 2), {3}, frozenset([4]), b'5', 6j, 7.5, None, 'ä', range(8), 10**30)"],
         "def f(): return (1, 2), {3}, frozenset([4]), b'5', 6j, 7.5, None, 'ä', range(8), 10**30", "right"),
        (["from collections import Counter, deque\nassert f('aab') == (Counter(a=2, b=1), deque([1]))"],
         "from collections import *\ndef f(x): return Counter(x), deque([1])", "right"),
        (["from fractions import Fraction\nassert f() == Fraction(1, 3)"],
         "from fractions import Fraction\ndef f(): return Fraction(1, 3)", "right"),
        (["import datetime\nassert f() == datetime.date(2024, 2, 29)"],
         "import datetime\ndef f(): return datetime.date(2024, 2, 29)", "right"),
        (["assert isinstance(f(), list) and type(f()) is list"], "def f(): return [1]", "right"),
        (["assert f() is True"], "def f(): return 1", "wrong"),
        # exceptions
        (["try:\n    f()\n    assert False\nexcept ValueError as error:\n    assert str(error) == 'no'"],
         "def f(): raise ValueError('no')", "right"),
        (["try:\n    f()\nexcept Mine:\n    pass\nelse:\n    assert False"],
         "class Mine(Exception): pass\ndef f(): raise Mine('x')", "right"),
        (["try:\n    f()\nexcept KeyError:\n    pass"],
         "class Mine(KeyError): pass\ndef f(): raise Mine('x')", "right"),
        (["f()"], "def f(): raise KeyError('x')", "wrong"),
        (["f()"], "def f(): raise UnicodeDecodeError('utf-8', b'', 0, 1, 'x')", "wrong"),
        # generators and functions
        (["assert list(f(3)) == [0, 1, 2]"], "def f(n):\n    yield from range(n)", "right"),
        (["g = f()\nassert next(g) == 0 and next(g) == 1"], "import itertools\nf = itertools.count", "right"),
        (["assert f(2)(3) == 5"], "def f(a): return lambda b: a + b", "right"),
        (["assert f(lambda x: x + 1, 4) == 5"], "def f(g, x): return g(x)", "right"),
        (["assert f([3, 1], key=abs, kind=int) == [1, 3]"],
         "def f(x, key, kind): return sorted(map(kind, x), key=key)", "right"),
        (["@f\ndef g(n): return n * 2\nassert g(2) == 5"], "def f(g): return lambda n: g(n) + 1", "right"),
        (["def g(x):\n    assert x == 1\nf(g)"], "def f(g):\n    try: g(2)\n    except Exception: pass", "wrong"),
        # classes
        (["s = Stack()\ns.push(1)\ns.push(2)\nassert s.pop() == 2\nassert len(s) == 1\nassert s.items == [1]"],
         "class Stack:\n    def __init__(self): self.items = []\n    def push(self, x): self.items.append(x)\n"
         "    def pop(self): return self.items.pop()\n    def __len__(self): return len(self.items)", "right"),
        (["s = Stack()\nassert s.pop() == 2"],
         "class Stack:\n    def pop(self): return 1", "wrong"),
        (["with Box() as b:\n    assert b[0] == 1"],
         "class Box:\n    def __enter__(self): return self\n    def __exit__(self, *a): pass\n"
         "    def __getitem__(self, i): return 1", "right"),
        (["assert str(P(1)) == 'P1' and P(1).x == 1 and isinstance(P(1), P)"],
         "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\n"
         "    def __str__(self): return f'P{self.x}'", "right"),
        (["assert total(Node(1, Node(2))) == 3"],
         "class Node:\n    def __init__(self, v, n=None): self.v, self.n = v, n\n"
         "def total(x): return x.v + (total(x.n) if x.n else 0)", "right"),
        (["assert P(1) == P(1)"], "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int", "unsure"),
        (["assert f() > 3"], "class N:\n    def __gt__(self, o): return True\ndef f(): return N()", "unsure"),
        (["assert 3 in f()"], "class N:\n    def __contains__(self, o): return True\ndef f(): return N()", "unsure"),
        (["assert abs(f() - 3) < 1e-6"], "class N:\n    def __sub__(self, o): return 0\ndef f(): return N()", "unsure"),
        (["assert isinstance(f(), list)"], "class L(list): pass\ndef f(): return L()", "unsure"),
        # what is the tests' own fault, or shows nothing
        (["x = 1"], "def f(): return 1", "unsure"),
        (["assert 1 == 2"], "def f(): return 1", "unsure"),
        (["assert f( == 1"], "def f(): return 1", "unsure"),
        (["import numpy\nassert f() == 1"], "def f(): return 1", "unsure"),
        (["class Own: pass\nassert f(Own()) == 1"], "def f(x): return 1", "unsure"),
        (["assert f() == 1\nassert undefined"], "def f(): return 1", "unsure"),
        (["def test_f():\n    assert f() == 1"], "def f(): return 1", "right"),
        (["def test_f():\n    assert f() == 1\ndef test_g():\n    assert f() == 2"], "def f(): return 1", "wrong"),
        (["def test_f(x):\n    assert f() == x\nf()"], "def f(): return 1", "unsure"),
        (["async def test_f():\n    assert f() == 2\nf()"], "def f(): return 1", "unsure"),
        (["class TestF:\n    def test_f(self):\n        assert f() == 2\nf()"], "def f(): return 1", "unsure"),
        # what a plain result does not have
        (["assert len(f()) == 1"], "def f(): pass", "wrong"),
        (["assert f()[3] == 1"], "def f(): return [1]", "wrong"),
        # no code, or none that runs
        (["assert f() == 1"], "def f(: return 1", "wrong"),
        (["assert f() == 1"], "def g(): return 1", "wrong"),
        (["assert f() == 1"], "if __name__ == '__main__':\n    raise SystemExit\ndef f(): return 1", "right"),
    ],
)  # fmt: skip
def test_functions(sandbox: Sandbox, tests: list[str], code: str, verdict: str) -> None:
    judgement = judged(sandbox, fenced(code), test_list=tests)
    assert judgement.verdict == verdict, judgement


def test_setup_code_is_the_answers_own_world(sandbox: Sandbox) -> None:
    setup = "class Node:\n    def __init__(self, v): self.v = v\nroot = Node(3)"
    answer = fenced("def value(node): return node.v if isinstance(node, Node) else None")
    tests = ["assert value(root) == 3"]
    assert judged(sandbox, answer, test_list=tests, test_setup_code=setup).verdict == "right"
    broken = judged(sandbox, answer, test_list=tests, test_setup_code="1 / 0")
    assert broken.verdict == "unsure"
    assert "ZeroDivisionError" in broken.reason


def test_a_failed_unittest_is_named(sandbox: Sandbox) -> None:
    tests = """
        import unittest
        class AddTest(unittest.TestCase):
            def setUp(self): self.two = 2
            def test_small(self): self.assertEqual(add(1, self.two), 3)
            def test_large(self): self.assertEqual(add(10**9, 1), 10**9 + 1)
    """
    answer = fenced("def add(a, b): return min(a + b, 100)")
    judgement = judged(sandbox, answer, tests=textwrap.dedent(tests))
    assert judgement.verdict == "wrong"
    assert judgement.reason == "a test fails: tests.AddTest.test_large: AssertionError: 100 != 1000000001"


SUM = {"cases": [{"input": "1 2\n", "output": "3\n"}, {"input": "10 -4\n", "output": "6"}]}


@pytest.mark.parametrize(
    ("code", "verdict", "reason"),
    [
        ("print(sum(map(int, input().split())))", "right", "all 2 cases pass"),
        ("import sys\nsys.stdout.write(str(sum(map(int, sys.stdin.read().split()))))", "right", "all 2 cases pass"),
        ("def main():\n    print(sum(map(int, input().split())))\nif __name__ == '__main__':\n    main()", "right", ""),
        ("import sys\nprint(sum(map(int, input().split())), end='   \\n\\n')\nsys.exit(0)", "right", ""),
        ("print(3, input()[:0])", "wrong", "case 2: expected '6', found '3'"),
        ("print('3' if '1 2' in input() else exit(1))", "wrong", "case 2: the code ends its own process"),
        ("print(int(input()))", "wrong", "case 1: ValueError: invalid literal for int() with base 10: '1 2'"),
        ("print(sum(map(int, input().split())) / 1)", "unsure", "but for how numbers are written"),
        ("print('', sum(map(int, input().split())))", "unsure", "but for white space"),
        ("import numpy\nprint(input())", "unsure", "No module named 'numpy'"),
        ("open('/etc/passwd')\nprint(input())", "unsure", "Error"),
        ("import os\nos._exit(0)\ninput()", "wrong", "case 1: expected '3', found ''"),
    ],
)
def test_programs(sandbox: Sandbox, code: str, verdict: str, reason: str) -> None:
    judgement = judged(sandbox, fenced(code), **SUM)
    assert judgement.verdict == verdict, judgement
    assert reason in judgement.reason


def test_a_large_input_and_output(sandbox: Sandbox) -> None:
    lines = "".join(f"{n}\n" for n in range(40_000))
    cases = [{"input": lines, "output": lines}, {"input": lines, "output": lines[:-2]}]
    judgement = judged(sandbox, fenced("import sys\nprint(sys.stdin.read())"), cases=cases)
    assert judgement.reason.startswith("case 2")
    assert (
        judged(sandbox, fenced("print(5)\n# input() is not looked at"), cases=[{"input": lines, "output": "5"}]).verdict
        == "right"
    )


def test_tests_and_cases_must_both_pass(sandbox: Sandbox) -> None:
    code = "def add(a, b): return a + b\nif __name__ == '__main__':\n    print(add(*map(int, input().split())))"
    both = {"tests": "assert add(2, 3) == 5", **SUM}
    assert judged(sandbox, fenced(code), **both).verdict == "right"
    assert judged(sandbox, fenced(code.replace("__main__", "other")), **both).reason.startswith("case 1")
    assert judged(sandbox, fenced(code.replace("a + b", "a - b")), **both).reason.startswith("a test fails")


ADD, SUBTRACT = "def add(a, b): return a + b", "def add(a, b): return a - b"


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (ADD, "right"),
        (f"Here:\n\n{fenced(ADD)}\n\nUse it so:\n\n{fenced('print(add(1, 2))')}", "right"),
        (f"{fenced(ADD)}\n\nIt prints\n\n{fenced('3', language='')}", "right"),
        (f"{fenced(ADD)}\n\nIn Java:\n\n{fenced('int add() {}', language='java')}", "right"),
        (fenced(ADD, language=""), "right"),
        (fenced(ADD, language="Python3"), "right"),
        (fenced("int add() {}", language="java"), "unsure"),
        (f"<answer>\n{fenced(ADD)}\n</answer>", "right"),
        (f"{fenced(SUBTRACT)}\n<answer>\n{fenced(ADD)}\n</answer>", "right"),
        (f"<answer>{ADD}</answer>", "right"),
        (fenced(SUBTRACT, ADD), "right"),
        (fenced(ADD, SUBTRACT), "unsure"),
        (fenced(SUBTRACT, SUBTRACT), "wrong"),
        (fenced("import operator", "def add(a, b): return operator.add(a, b)"), "right"),
        (fenced("x = 1", "y = 2"), "wrong"),
        ("1. First:\n   ```python\n   def add(a, b):\n       return a + b\n   ```", "right"),
        (f"```python\n{ADD}", "right"),
        (f"# adds\n\n{ADD}", "right"),
        (f"import operator\n{ADD}", "right"),
        ("add = lambda a, b: a + b", "right"),
        ("# Solution\n\nAdd the two numbers.", "unsure"),
        ("import is what a country does", "unsure"),
        ("add (the numbers)", "unsure"),
        ("    return a + b", "unsure"),
        ("Add the two numbers.", "unsure"),
        ("", "wrong"),
    ],
)  # fmt: skip
def test_which_code(sandbox: Sandbox, answer: str, verdict: str) -> None:
    judgement = judged(sandbox, answer, tests="assert add(2, 3) == 5")
    assert judgement.verdict == verdict, judgement


def test_parts_of_one_solution_are_put_together(sandbox: Sandbox) -> None:
    answer = fenced("class Box:\n    def __init__(self, x): self.x = x", "def open_box(box): return box.x")
    assert judged(sandbox, answer, tests="assert open_box(Box(3)) == 3").verdict == "right"


def test_which_program(sandbox: Sandbox) -> None:
    reading, example = "print(sum(map(int, input().split())))", "print('3')"
    assert judged(sandbox, fenced(reading, example), **SUM).verdict == "right"
    assert judged(sandbox, fenced("print(input())", reading), **SUM).verdict == "right"
    assert judged(sandbox, fenced(reading, "print(input())"), **SUM).verdict == "unsure"


@pytest.mark.parametrize(
    "meta",
    [
        {"tests": 7},
        {"tests": [7]},
        {"test_list": {"a": "assert f()"}},
        {"tests": "assert f()", "entry_point": "not a name"},
        {"cases": {"input": "1"}},
        {"cases": [{"input": "1"}]},
        {"cases": [{"input": 1, "output": "1"}]},
        {"cases": "no JSON"},
    ],
)
def test_tests_of_no_known_form_are_unsure(sandbox: Sandbox, meta: dict[str, Any]) -> None:
    judgement = judged(sandbox, fenced("def f(): return 1"), **meta)
    assert judgement.verdict == "unsure"
    assert judgement.reason.startswith("the tests cannot be used")


def test_what_is_read_from_a_question() -> None:
    assert read_tests({}) is None
    assert read_tests({"tests": "  ", "cases": []}) is None
    assert read_tests({"cases": '[{"input": "a", "output": "b"}]'}) == Tests(cases=(("a", "b"),))
    sanitized = {"test_imports": ["import math"], "test_list": ["assert f() == math.pi"], "prompt": "Write f."}
    assert read_tests(sanitized) == Tests(("import math", "assert f() == math.pi"))


def test_a_question_without_tests_is_unverifiable() -> None:
    assert verify(question(), fenced(ADD)).verdict == "unverifiable"


def test_many_side_by_side_in_order() -> None:
    asked = question(tests="assert add(2, 3) == 5")
    other = asked.model_copy(update={"kind": "number", "answer": "5"})
    pairs = [(asked, fenced(ADD)), (other, "5"), (asked, fenced(SUBTRACT)), (asked, fenced(ADD))] * 5
    assert [one.verdict for one in verify_many(pairs)] == ["right", "right", "wrong", "right"] * 5
