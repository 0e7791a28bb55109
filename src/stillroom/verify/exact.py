"""Kind `exact`: the answer is the reference, word for word.

Both sides are normalised: Unicode NFC, case folded, runs of white space made one blank, surrounding quotation marks,
Markdown emphasis and dollar signs taken off, and punctuation at the end (. , ; : ! ?) dropped. Nothing else is
forgiven. The whole answer is compared, and where the answer is marked ("the answer is ...", a box, ...) the first line
of the last mark and the first sentence of that line too. A reference that stands inside a longer answer is neither
right nor wrong: "Paris" is in "not Paris" too.
"""

from __future__ import annotations

import re
import unicodedata

from stillroom.verify.judgement import Judgement
from stillroom.verify.markers import bare, first_line, marked_answers

_QUOTES = "\"'`“”‘’«»*_"
_FINAL = ".,;:!?"
_COMMAND = re.compile(r"\\(?:text|textbf|mathrm|mathbf|textit)\s*\{([^{}]*)\}")


def verify_exact(reference: str, answer: str) -> Judgement:
    expected = normalised(reference)
    if not expected:
        return Judgement("unsure", "the reference is empty")
    marked = marked_answers(answer)
    if marked:
        line = bare(_COMMAND.sub(r"\1", first_line(marked[-1].text)))
        candidates = [line, re.split(r"[.!?](?:\s|$)", line, maxsplit=1)[0], answer.strip()]
    else:
        candidates = [answer.strip()]
    if any(normalised(candidate) == expected for candidate in candidates):
        return Judgement("right", "the same text", candidates[0])
    if re.search(rf"(?<!\w){re.escape(expected)}(?!\w)", normalised(candidates[0])):
        return Judgement("unsure", "the reference stands inside a longer answer", candidates[0])
    return Judgement("wrong", "another text", candidates[0])


def normalised(text: str) -> str:
    """The text as it is compared. A text of nothing but punctuation stays as it is."""
    text = " ".join(unicodedata.normalize("NFC", text).casefold().split())
    stripped = bare(text).strip(_QUOTES).rstrip(_FINAL).rstrip(_QUOTES).strip()
    return stripped or text
