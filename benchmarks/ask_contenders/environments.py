"""An environment of its own for each contender that is not ours, made with pip when it is first needed."""

from __future__ import annotations

import subprocess
import venv
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / ".peers"
_TOKENIZERS = "litellm==1.83.7"
"""Holds the files that tiktoken would download. Without them, tools that count tokens fail, or lose time in trying."""


@dataclass(frozen=True)
class Environment:
    python: Path
    variables: dict[str, str]


def environment(name: str, requirements: tuple[str, ...], *, counts_tokens: bool) -> Environment:
    """The environment called `name`, in which exactly these requirements were installed.

    `counts_tokens`: with the files that tiktoken needs.
    """
    folder = FOLDER / name
    wanted = "\n".join(requirements)
    installed = folder / "installed.txt"
    python = folder / "bin" / "python"
    if not installed.is_file() or installed.read_text() != wanted:
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / ".gitignore").write_text("*\n")
        print(f"Making an environment with {' '.join(requirements)}", flush=True)
        venv.create(folder, clear=True, with_pip=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, *requirements], check=True)
        if counts_tokens:
            subprocess.run([*install, "--no-deps", _TOKENIZERS], check=True)
        installed.write_text(wanted)
    tokenizers = folder.glob("lib/python3*/site-packages/litellm/litellm_core_utils/tokenizers")
    return Environment(python, {"TIKTOKEN_CACHE_DIR": str(next(tokenizers))} if counts_tokens else {})
