"""Kind `math`: expressions, sets, intervals and equations, compared by math-verify.

Extraction and comparison are told apart: an answer in which no mathematics is found is unsure, one whose value differs
is wrong. Right in either order of comparison is right. Numbers are compared to 6 decimals, as math-verify does. A
comparison that takes longer than the limit, or ends its process, is unsure.
"""

from __future__ import annotations

from stillroom.verify.judgement import Judgement
from stillroom.verify.workers import Workers


def verify_math(reference: str, answer: str, workers: Workers) -> Judgement:
    response = workers.run({"reference": reference, "answer": answer})
    if "verdict" in response:
        return Judgement(response["verdict"], response["reason"], response.get("extracted"))
    return Judgement("unsure", not_answered(response, workers.limit_s))


def not_answered(response: dict[str, object], limit_s: float) -> str:
    """The reason of a verdict that a worker could not reach."""
    if "timed_out" in response:
        return f"verifying took more than {limit_s:g} seconds"
    if "died" in response:
        return "the verifying process ended"
    return f"the verifier raised {response['raised']}"
