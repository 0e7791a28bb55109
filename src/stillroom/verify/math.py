"""Kind `math`: expressions, sets, intervals, equations, matrices, read with math-verify's grammar and its opinion.

What stands in the answer (`formula`), what sort of thing it is (`reading`) and whether it is the reference
(`comparison`, `expressions`) are told apart. Values are compared exactly: what agrees only after rounding is unsure, as
is a list in another order, a sum that is not worked out, a factored reference against an expanded answer, an answer in
which no mathematics is found. A judging that takes longer than the limit, or ends its process, is unsure.
"""

from __future__ import annotations

from typing import Any

from stillroom.verify.judgement import Judgement
from stillroom.verify.workers import Workers


def verify_math(reference: str, answer: str, workers: Workers, question: str = "") -> Judgement:
    return math_judgement(workers.run(math_request(reference, answer, question)), workers.limit_s)


def math_request(reference: str, answer: str, question: str = "") -> dict[str, Any]:
    """What the worker is asked."""
    return {"reference": reference, "answer": answer, "question": question}


def math_judgement(response: dict[str, Any], limit_s: float) -> Judgement:
    """What the worker's answer means."""
    if "verdict" in response:
        return Judgement(response["verdict"], response["reason"], response["extracted"], response["seconds"])
    return Judgement("unsure", not_answered(response, limit_s), seconds=response.get("seconds", limit_s))


def not_answered(response: dict[str, Any], limit_s: float) -> str:
    """The reason of a verdict that a worker could not reach."""
    if "timed_out" in response:
        return f"verifying took more than {limit_s:g} seconds"
    if "died" in response:
        return "the verifying process ended"
    return f"the verifier raised {response['raised']}"
