"""How a taker is told from others on a page: by its shape and its name as well as by its colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SHAPES = {"teacher": "diamond", "student": "circle", "answers_only": "triangle-up", "base": "square"}
"""Of a run's own takers."""
_OTHER_SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")


@dataclass(frozen=True, slots=True)
class Looks:
    key: str
    """The last part of its CSS variable and of its classes."""
    shape: str


def looks_of(names: Sequence[str]) -> dict[str, Looks]:
    """How each of the takers is drawn. Those of a run look the same everywhere; others take the next of a few looks."""
    others = [name for name in names if name not in SHAPES]
    free = [shape for shape in _OTHER_SHAPES if shape not in {SHAPES[name] for name in names if name in SHAPES}]
    found = {name: Looks(name, SHAPES[name]) for name in names if name in SHAPES}
    for position, name in enumerate(others):
        number = position % len(_OTHER_SHAPES) + 1
        # Beyond six, the same colours come again with other shapes.
        shape = free[(position + position // len(_OTHER_SHAPES)) % len(free)]
        found[name] = Looks(f"model-{number}", shape)
    return {name: found[name] for name in names}
