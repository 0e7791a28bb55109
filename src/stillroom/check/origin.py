"""What a data set's card says of a run, and no table of the run holds: it is told by whoever knows the recipe."""

from __future__ import annotations

from dataclasses import dataclass

from stillroom.terms.grants import Grant


@dataclass(frozen=True, slots=True)
class Origin:
    """None is unknown or not stated, except where it says otherwise."""

    name: str
    """The run's."""
    recipe_digest: str
    model: str
    """The teacher, as it was asked for."""
    host: str | None
    """Where it was asked, without port or path; None: the run served it itself."""
    terms: str | None
    """What the recipe states: `own` for a model of one's own, or what allows the use of its replies."""
    samples: int
    """The most replies to one question."""
    temperature: float | None
    """Of this and the next three, None left it to the server."""
    top_p: float | None
    max_tokens: int | None
    seed: int | None
    more_fields: tuple[str, ...]
    """Names of further fields that were sent with every request."""
    has_system_prompt: bool
    """Whether the teacher read a system prompt that the rows do not hold."""
    has_examples: bool
    """The same of worked examples."""
    held_out: float
    """The share of the questions that was to be held out."""
    language: str | None
    """What the check was told that the texts are in."""
    grant: Grant | None = None
    """Why the teacher's replies may train a model; None: it was asked before grants were kept."""
