"""Real texts that every machine has: what the standard library says of itself, a paragraph each."""

from __future__ import annotations

import ast
import sysconfig
from functools import cache
from pathlib import Path

import pytest

_MODULES = (
    "argparse", "calendar", "codecs", "configparser", "datetime", "difflib", "doctest", "email/message", "enum",
    "heapq", "inspect", "ipaddress", "mailbox", "optparse", "os", "pathlib", "pdb", "random", "shutil", "socket",
    "ssl", "statistics", "subprocess", "tarfile", "tempfile", "textwrap", "threading", "typing", "unittest/case",
    "unittest/mock", "zipfile",
)  # fmt: skip
ENOUGH = 900


@cache
def paragraphs() -> tuple[str, ...]:
    """Different ones of 60 characters or more."""
    library = Path(sysconfig.get_path("stdlib"))
    found: dict[str, str] = {}
    for name in _MODULES:
        path = library / f"{name}.py"
        if not path.exists() or len(found) > ENOUGH:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                said = (ast.get_docstring(node) or "").split("\n\n")
                found.update({" ".join(text.lower().split()[:6]): text for text in said if len(text) > 60})
    return tuple(found.values())[:ENOUGH]


@pytest.fixture(scope="session")
def real_texts() -> tuple[str, ...]:
    return paragraphs()
