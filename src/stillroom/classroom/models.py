"""Where the embedded models lie: Hugging Face folders inside the package."""

from __future__ import annotations

from pathlib import Path

MODELS = Path(__file__).with_name("models")


def teacher_folder() -> Path:
    """The teacher that reasons."""
    return MODELS / "teacher"


def base_folder() -> Path:
    """The base student: single steps, and nothing put together."""
    return MODELS / "base"
