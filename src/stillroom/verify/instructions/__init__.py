"""Kind `instructions`: whether an answer keeps to what it was told about its form, as IFEval asks it.

A question's `meta` holds `instruction_id_list` and, for each of them, its `kwargs`, as the rows of IFEval do (Zhou et
al. 2023, arXiv:2311.07911). Right is an answer that follows every one of them as it stands: IFEval's prompt-level
strict accuracy. Its loose accuracy, and the share of single instructions, are not counted.

The checks are written anew from the descriptions. What IFEval's own decide with a statistical model (the language of a
text, where a sentence ends), these decide where it is clear, and are unsure where it is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stillroom.verify.instructions.checks import CHECKS, ArgumentError
from stillroom.verify.judgement import Judgement

__all__ = ["has_instructions", "verify_instructions"]


def has_instructions(meta: Mapping[str, Any]) -> bool:
    """Whether a question says what is to be checked, one set of arguments for each instruction."""
    names, arguments = meta.get("instruction_id_list"), meta.get("kwargs")
    return (
        isinstance(names, list)
        and isinstance(arguments, list)
        and 0 < len(names) == len(arguments)
        and all(isinstance(name, str) for name in names)
        and all(isinstance(each, dict) for each in arguments)
    )


def verify_instructions(meta: Mapping[str, Any], prompt: str, answer: str) -> Judgement:
    """`prompt` is the question's text, which one of the instructions asks to be repeated."""
    if not has_instructions(meta):
        return Judgement("unsure", "the question does not say which instructions it gives, each with its kwargs")
    if not answer.strip():
        return Judgement("wrong", "the answer is empty")
    broken, unclear = [], []
    for name, arguments in zip(meta["instruction_id_list"], meta["kwargs"], strict=True):
        followed = _is_followed(name, arguments, prompt, answer)
        if followed is None:
            unclear.append(name)
        elif not followed:
            broken.append(name)
    if broken:
        return Judgement("wrong", f"does not follow {', '.join(broken)}")
    if unclear:
        return Judgement("unsure", f"it could not be told whether it follows {', '.join(unclear)}")
    return Judgement("right", "follows all of its instructions")


def _is_followed(name: str, arguments: Mapping[str, Any], prompt: str, answer: str) -> bool | None:
    """None: it cannot be told, also where there is no such instruction or its arguments are not what they should be."""
    check = CHECKS.get(name)
    if check is None:
        return None
    # A row of Parquet has all the arguments that any instruction has, most of them null.
    given = {key: value for key, value in arguments.items() if value is not None} | {"prompt": prompt}
    try:
        return check(answer, given)
    except ArgumentError:
        return None
