r"""Why a number may not be the answer, told from the words and signs around it.

A number is taken for the answer where what stands before it is plain ("about", "a total of", "x =", a verb that
concludes) and what stands after it is a unit, a noun, or the end of the clause. Whatever else stands there is a doubt:
a bound, a denial, an operation that is left to do, a condition, a label ("step 3").
"""

from __future__ import annotations

import re

SUPPOSED = "it only supposes that"
LABEL = "a label, not an answer"
NOT_SAID = "what is said of the number is not clear"
UNCLEAR = "which of several numbers is meant is not clear"
WHICH = frozenset((SUPPOSED, LABEL, NOT_SAID, UNCLEAR))
"""Doubts about which number is meant, or whether it is: where none of them is the reference, they do not matter."""

# How far back the words before a number are looked at.
_REACH = 120

SUPPOSES = re.compile(
    r"\b(?:if\b(?!.*(?:,|\bthen\b))|suppose|supposing|assum(?:e|es|ing)|imagine|unless|whether|wrong|incorrect|mistake"
    r"|mistaken(?:ly)?|tempting|naive(?:ly)?|pretend|someone|claim(?:s|ed)?|guessed|thought"
    r"|let\s+\$?[a-z]|(?:first|initial|my) guess was|guess was"
    r"|(?:some|people|many|one|you) (?:may|might|could|would)(?: also)? (?:say|think|guess))\b",
    re.IGNORECASE,
)
"""What makes the answer of a sentence somebody else's, or nobody's."""

_BOUND = re.compile(
    r"(?:\b(?:at (?:least|most)|(?:more|less|fewer|greater|larger|smaller|higher|lower|bigger|other|rather) than"
    r"|over|under|above|below|nearly|almost|up to|between|either|minimum of|maximum of|instead of|anything but"
    r"|close to|far from|near|beyond|exceed(?:s|ing)?|short of|within)"
    r"|[<>≤≥≠]=?|\\(?:le|ge|leq|geq|ne|neq|lt|gt|leqslant|geqslant)|!=)\s*(?:than )?(?:equal to )?[$€£(]*$",
    re.IGNORECASE,
)
_DENIED_BEFORE = re.compile(
    r"(?:\b(?:not|never|nor|cannot|neither)|n['’]t)"
    r"(?:\s+(?:be|been|equal|equals|to|exactly|simply|just|the|really|actually|is|a|an))*\s*[$€£(]*$",
    re.IGNORECASE,
)
_DENIED_AFTER = re.compile(
    r"[)$]*\s*(?:[^\W\d]+\s+)?(?:isn['’]t|wasn['’]t"
    r"|(?:is|was|would be|seems|looks)\s+(?:not|wrong|incorrect|false|impossible|too|clearly wrong)\b)",
    re.IGNORECASE,
)
_RELATIVE = re.compile(
    r"\s*(?:[^\W\d]+\s+){0,2}(?:more|less|fewer|greater|higher|lower|older|younger)\s+than\b", re.IGNORECASE
)
_DEPENDS = re.compile(r"\bif\b.*\b(?:otherwise|else)\b|\b(?:otherwise|or else)\b", re.IGNORECASE | re.DOTALL)
_CONCLUDES = re.compile(
    r"(?:[=≈:]|\b(?:is|are|was|were|be|equals?|makes?|made|making|gives?|gave|giving|gets?|got|leaves?|leaving|left|has"
    r"|have|had|totals?|totaling|total of|comes? (?:out )?to|amounts? to|works? out to|adds? up to|earns?|earned|costs?"
    r"|needs?|needed|takes?|took|pays?|paid|spends?|spent|sells?|sold|buys?|bought|uses?|used|eats?|ate|saves?|saved"
    r"|walks?|walked|runs?|ran|drives?|drove|reads?|collects?|collected|owns?|weighs?|contains?|holds?|lasts?|receives?"
    r"|received|finds?|found|ends? up with|scored?|raised?|hiked|swam|grew|slept|worked|planted|baked|produced?|so|thus"
    r"|therefore|hence|means|yields?|results? in|becomes?|obtain))"
    r"(?:\s+(?:a|the|only|exactly|about|approximately|around|roughly|total|of|just|still|now|there|are|is|be|=|:|up|to"
    r"|an|another|additional|all|in)){0,4}\s*[$€£¥₹(:]*$",
    re.IGNORECASE,
)
"""A word or sign that a sentence comes to its number by."""

_PLAIN_WORDS = """a an the about approximately approx around roughly exactly precisely simply just only therefore
thus so then hence now still clearly obviously definitely probably maybe perhaps likely i think believe guess that it is
there are equal to equals total of be would should will must indeed finally again but us usd eur gbp rs loss gain
profit"""
_PHRASES = re.compile(r"\b(?:in (?:total|all)|all together|altogether)\b", re.IGNORECASE)
_OPERATION = re.compile(
    r"\s*(?:squared|cubed|factorial|over|divided|multiplied|plus|minus|mod|modulo|choose|raised|to the power|if|when"
    r"|unless|provided|or so|or more|or less|or fewer|ish)\b",
    re.IGNORECASE,
)
_SIGN_AFTER = re.compile(
    r"\s*(?:[+*^_×÷=<>≠≤≥→⇒|√π∞±₀-₉!]|-+>|['’′]\s?\d|/(?!\s?[A-Za-z]{2})|-\s?[\dA-Za-z(\\]|\\(?![)\]]))"
)
_TAKEN_BACK = re.compile(
    r"\b(?:wrong|incorrect|mistaken|only if|unless|give or take|below zero)\b|\bif\b|\bwas (?:my|the) first\b"
    r"|[(,.…]\s*no\b\s*[,.!:)]",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"\b(?:step|problem|question|exercise|figure|equation|example|part|case|line|page|chapter|option|version|table|item)"
    r"\s*(?:no\.?\s*|number\s*|#\s*)?[(]?$",
    re.IGNORECASE,
)
_IN_A_CALL = re.compile(r"\w\([^()\s]*$|\w\(['\"][^()]*$|__\w*$")


def is_denied(text: str, start: int, end: int) -> bool:
    """Whether the text says that what stands from `start` to `end` is not the answer."""
    before = text[max(0, start - _REACH) : start]
    return bool(_DENIED_BEFORE.search(before) or _DENIED_AFTER.match(text[end : end + _REACH]))


def concludes(text: str, start: int) -> bool:
    """Whether what stands before `start` is what a sentence comes to its number by."""
    return bool(_CONCLUDES.search(text[max(0, start - _REACH) : start]))


def is_plain(lead: str) -> bool:
    """Whether a text before a number adds nothing to it."""
    lead = _PHRASES.sub(" ", lead)
    words = re.findall(r"[^\W\d_]+", lead)
    return all(word.lower() in _PLAIN_WORDS.split() for word in words) and not re.search(
        r"[^\s\w$€£¥₹:=(\"'“”‘’*~≈.,\\\[]", lead
    )


def doubt_about(text: str, start: int, end: int, *, attached: str = "") -> str:
    """Why the number from `start` to `end` may not be the answer that `text` gives; "" where nothing speaks against it.

    `end` is after its unit. `attached` are the letters that follow without a blank and are no unit.
    """
    before, after = text[max(0, start - _REACH) : start], text[end : end + _REACH]
    reasons = (
        (_BOUND.search(before), "a bound, not a number"),
        (re.search(r"±|\\pm|\bone\s+(?:in|out of|of)\s*$", before), "an expression, not a number"),
        (_RELATIVE.match(after), "a difference to something else"),
        (_DEPENDS.search(text), "it depends on a condition"),
        (SUPPOSES.search(before), SUPPOSED),
        (_IN_A_CALL.search(before), "a program, not an answer"),
        (_LABEL.search(before), LABEL),
        (attached, "part of a longer expression"),
        (_TAKEN_BACK.search(after), "doubted in the same sentence"),
        (_SIGN_AFTER.match(after), "part of a longer expression"),
        (_OPERATION.match(after), "an operation is left to do, or a condition"),
        (text.rstrip().endswith("?"), "a question, not an answer"),
        (not (is_plain(before) or concludes(text, start)), NOT_SAID),
    )
    return next((reason for found, reason in reasons if found), "")
