"""The chart of a test: what coins alone would give, and where the suspect stands. Plain SVG, which needs no script."""

from __future__ import annotations

from dataclasses import dataclass

from stillroom.probe.statement import Picture

WIDTH, HEIGHT = 640, 190
TOP, BOTTOM = 34, 150
"""Of the bars, in the drawing's own unit."""
SIDE = 12
LABEL_WIDTH = 90
"""Half of what the suspect's label takes."""


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    text: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """In a box of `WIDTH` by `HEIGHT`."""

    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    suspect_x: float
    label_x: float
    """The middle of the suspect's label, which stays within the box."""
    description: str


def draw(picture: Picture) -> Drawing:
    """Sealed side left, served side right, nought where the coins alone have their mean."""
    low = min(picture.edges[0], picture.observed - 0.5)
    high = max(picture.edges[-1], picture.observed + 0.5)
    scale = (WIDTH - 2 * SIDE) / (high - low)

    def place(value: float) -> float:
        return round(SIDE + (value - low) * scale, 2)

    tallest = max(picture.shares) or 1.0
    bars = [
        Bar(place(left), round(BOTTOM - height, 2), round(max((right - left) * scale - 1, 0.5), 2), round(height, 2))
        for left, right, share in zip(picture.edges, picture.edges[1:], picture.shares, strict=False)
        if (height := (BOTTOM - TOP) * share / tallest) > 0
    ]
    suspect = place(picture.observed)
    return Drawing(
        bars=tuple(bars),
        ticks=tuple(Tick(place(value), _signed(value)) for value in _whole_numbers(low, high)),
        suspect_x=suspect,
        label_x=min(max(suspect, SIDE + LABEL_WIDTH), WIDTH - SIDE - LABEL_WIDTH),
        description=(
            "What coins alone would give, as bars around nought; the suspect stands at "
            f"{picture.observed:+.1f} standard deviations, positive towards the served replies."
        ),
    )


def _whole_numbers(low: float, high: float) -> list[int]:
    """At most a dozen, nought among them."""
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000) if (high - low) / step <= 12)
    first = -int(-low // step) * step
    return [value for value in range(first, int(high) + 1, step) if low <= value <= high]


def _signed(value: int) -> str:
    return f"{value:+d}".replace("-", "\N{MINUS SIGN}") if value else "0"
