"""Why a row is not kept: every reason code, with one sentence about such a row for a person."""

from __future__ import annotations

REASONS: dict[str, str] = {
    # What the reply is, seen from the reply alone.
    "failed": "No reply came.",
    "refused": "The model, or a filter in front of it, declined to answer.",
    "empty": "The reply holds no answer.",
    "truncated": "The reply was cut by the token limit.",
    "not_a_conversation": "The row of a file from elsewhere holds no question with a reply to it.",
    "no_reasoning": "The reply shows no reasoning, and check.require_reasoning asks for it.",
    "summary_reasoning": "Only a summary of the reasoning was sent, not the reasoning itself.",
    "broken_think_block": "The think block does not open and close once, or think tags stand inside the text.",
    "answer_in_reasoning": "The answer stands inside the reasoning, and nothing follows it.",
    "empty_answer": "Nothing follows the reasoning.",
    "refused_in_words": "The answer reads like a refusal.",
    "too_long": "The reply is longer than check.max_tokens; it is left out whole, never cut.",
    "repetition": "The text goes round in a loop.",
    "mixed_scripts": "Words in another script stand in the middle of the text.",
    "wrong_language": "The text is in another language than check.language asks for.",
    # What the question is.
    "duplicate_question": "Its question is the same as another one.",
    "near_duplicate_question": "Its question is almost the same as another one.",
    "contaminated": "Its question, or a near copy of it, stands in an examination.",
    # What the answer is worth.
    "wrong": "The answer was judged wrong.",
    "unsure": "Whether the answer is right could not be told, and unsure is not right.",
    "unverifiable": "The question should have a verifier, and nothing can judge this answer.",
    "duplicate": "An earlier sample of the same question has the same reasoning and answer.",
    # What the selection leaves.
    "too_easy": "Its question is answered right more often than check.pass_rate wants.",
    "too_hard": "Its question is answered right less often than check.pass_rate wants.",
    "not_selected": "It is good, and its question has more such replies than check.keep and check.per_question leave.",
    "long_share": "It is good, and there are more of its length, long or short, than check.long_share leaves.",
    "source_share": "It is good, and there are more from its source than check.most_per_source leaves.",
    "mix_weight": "It is good, and there are more from its file than its weight in check.mix leaves.",
}
"""In the order in which they are looked for: a row has the first that fits."""

SELECTED_AWAY = ("too_easy", "too_hard", "not_selected", "long_share", "source_share", "mix_weight")
"""Reasons that are no fault of the row: the recipe did not want so many like it."""
MAY_BE_WRONG = ("refused_in_words", "answer_in_reasoning", "repetition", "mixed_scripts", "wrong_language")
"""Found by a rule of thumb in the text: worth a look before they are believed."""
