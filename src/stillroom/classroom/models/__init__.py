"""Where the embedded models lie: Hugging Face folders beside this file, made by recipes/classroom/build.py."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent


def teacher_folder() -> Path:
    """A Llama of 3.1 million parameters that reasons in a think block before it answers."""
    return HERE / "teacher"


def base_folder() -> Path:
    """A Llama of 1.4 million parameters that knows the words and the single steps, and never saw steps put together."""
    return HERE / "base"
