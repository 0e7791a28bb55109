"""Kind `exact`: the answer is the reference, word for word.

Both sides are normalised: Unicode NFC, full-width characters narrow, case folded, runs of white space made one blank,
surrounding quotation marks, Markdown emphasis and dollar signs taken off, and punctuation at the end (. , ; : ! ?)
dropped. Nothing else is forgiven. The whole answer is compared, and where the answer is marked ("the answer is ...", a
box, ...) the first line of the last mark and the first sentence of that line too. A reference that stands inside a
longer answer is neither right nor wrong, unless it is denied there ("not Paris"). The same date or time of day in
another form is unsure: the form may have been asked for.
"""

from __future__ import annotations

import re
import unicodedata

from stillroom.verify.dates import same_moment
from stillroom.verify.final import final_answer, gives_up
from stillroom.verify.judgement import Judgement
from stillroom.verify.markers import bare, first_line
from stillroom.verify.scripts import plain_signs

_QUOTES = "\"'`“”‘’«»*_"
_FINAL = ".,;:!?"
_COMMAND = re.compile(r"\\(?:text|textbf|mathrm|mathbf|textit)\s*\{([^{}]*)\}")


def verify_exact(reference: str, answer: str) -> Judgement:
    expected = normalised(reference)
    if not expected:
        return Judgement("unsure", "the reference is empty")
    if normalised(answer) == expected and not _asks(reference, answer):
        return Judgement("right", "the same text", answer.strip())
    final = final_answer(answer)
    if not final.texts:
        return Judgement("wrong", "no answer was given")
    judgements = [_judged(expected, text, marked=final.marked) for text in final.texts]
    if _asks(reference, judgements[-1].extracted or ""):
        return Judgement("unsure", "a question, not an answer", judgements[-1].extracted)
    if final.doubt:
        return Judgement("unsure", final.doubt, judgements[-1].extracted)
    if len({judgement.verdict for judgement in judgements}) > 1:
        return Judgement("unsure", "several answers that differ", judgements[-1].extracted)
    return judgements[-1]


def _asks(reference: str, given: str) -> bool:
    """Whether a question mark stands in the answer's first line, and none in the reference."""
    return "?" in first_line(given) and "?" not in reference


def _judged(expected: str, given: str, *, marked: bool) -> Judgement:
    given = given.strip()
    candidates = [given]
    if marked:
        line = bare(_COMMAND.sub(r"\1", first_line(given)))
        candidates = [line, re.split(r"[.!?](?:\s|$)", line, maxsplit=1)[0]]
    if any(normalised(candidate) == expected for candidate in candidates):
        return Judgement("right", "the same text", candidates[0])
    return _not_the_same(expected, candidates[0])


def normalised(text: str) -> str:
    """The text as it is compared. A text of nothing but punctuation stays as it is."""
    text = " ".join(plain_letters(unicodedata.normalize("NFC", text)).casefold().split())
    stripped = bare(text).strip(_QUOTES).rstrip(_FINAL).rstrip(_QUOTES).strip()
    return stripped or text


def plain_letters(text: str) -> str:
    """Full-width characters narrow, everything else as it is."""
    return "".join(plain_signs(char) if "\uff01" <= char <= "\uff5e" else char for char in text)


def _visible(text: str) -> str:
    return "".join(char for char in text if unicodedata.category(char) != "Cf")


def _not_the_same(expected: str, given: str) -> Judgement:
    text = normalised(given)
    if gives_up(text) and expected not in text:
        return Judgement("wrong", "no answer was given", given)
    stands = rf"(?<![\w.]){re.escape(expected)}(?!\w|[.,]\d)"
    if re.search(stands, re.sub(rf"(?:\bnot|n['’]t|\bnever|\bnor)(?: be)? {stands}", " ", text)):
        return Judgement("unsure", "the reference stands inside a longer answer", given)
    if re.search(stands, text):
        return Judgement("wrong", "the reference is denied", given)
    if same_moment(expected, text):
        return Judgement("unsure", "the same date or time in another form", given)
    if _visible(text) == _visible(expected):
        return Judgement("unsure", "the same text but for characters that nobody sees", given)
    return Judgement("wrong", "another text", given)
