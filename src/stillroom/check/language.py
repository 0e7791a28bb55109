r"""In which language a text is written, as far as that can be told; and words of another script in the middle of it.

Mathematics, code and short texts have no language that a statistic could tell: they are taken out, and what is left
must be long enough, or the answer is "cannot be told", which rejects nothing. The statistic is py3langid's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from stillroom.check.language_names import LANGUAGES

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier  # type: ignore[import-untyped]

LEAST_LETTERS = 120
"""Of prose, below which nothing is said about its language. (A Chinese character counts as four.)"""
SURE = 0.95
"""The least share that the statistic must give to a question's language."""
LIKELY, UNLIKELY = 0.5, 0.01
"""What is in another language: this share of another one at least, and this one at most of the language wanted."""
LEAST_OF_WORDS = 12
"""Letters of a question below which it does not show in which script it is written."""
SMALLEST_PIECE, PIECE, PART = 400, 2000, 800
"""Characters of a piece at the beginning, in the middle and at the end (a text may change its language), and of its
prose those that are looked at."""

_NOT_PROSE = re.compile(
    r"""
      ```.*?(?:```|\Z) | `[^`\n]*`                            # code
    | \$\$.*?\$\$ | \$[^$\n]{0,400}\$                         # formulas
    | \\\[.*?\\\] | \\\(.*?\\\)
    | \\begin\{(\w+\*?)\}.*?\\end\{\1\}
    | \\[A-Za-z]+                                             # commands of LaTeX
    | https?://\S+ | <[^<>\n]{1,80}>
    | (?<![^\W\d_]) [^\W\d_]*+ [\d_=+*/^<>{}|\\@\#] \S*        # whatever has a digit or a sign of mathematics in it
    """,
    re.VERBOSE | re.DOTALL,
)
_NO_LANGUAGE = "zxx"
_ENGLISH = {
    "the", "and", "that", "this", "with", "from", "which", "have", "are", "then", "there", "its", "you", "they", "what",
    "when", "how", "can", "will", "would", "each", "because", "since", "where", "to", "by", "if", "not", "it", "is",
    "of", "for", "be", "we",
}  # fmt: skip
LEAST_HITS, PLAINLY_ENGLISH = 10, 0.15
"""Number and share of these among the words of a text, from which on it is English, and the statistic, which is slow,
is not asked. Texts in other languages hold few of them."""
_LETTERS = re.compile(r"[^\W\d_]+")
_SCRIPTS = {
    "Han": "\u2e80-\u2fdf\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff",
    "kana": "\u3041-\u30ff\u31f0-\u31ff",
    "Hangul": "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af",
    "Cyrillic": "\u0400-\u052f",
    "Arabic": "\u0600-\u06ff\u0750-\u077f",
    "Hebrew": "\u0590-\u05ff",
    "Devanagari": "\u0900-\u097f",
    "an Indic script": "\u0980-\u0dff",
    "Thai": "\u0e00-\u0e7f",
    "Lao": "\u0e80-\u0eff",
    "Burmese": "\u1000-\u109f",
    "Georgian": "\u10a0-\u10ff",
    "Armenian": "\u0530-\u058f",
    "Ethiopic": "\u1200-\u137f",
    "Khmer": "\u1780-\u17ff",
}
"""Latin and Greek are everybody's: formulas, names and code are written in them."""
_WORD = re.compile("|".join(f"(?P<s{number}>[{script}]+)" for number, script in enumerate(_SCRIPTS.values())))
_NAMES = list(_SCRIPTS)
_DENSE = {"Han", "kana", "Hangul", "Thai", "Lao", "Khmer", "Burmese"}
"""Scripts in which a word has few characters."""
_SCRIPTS_OF = {
    **dict.fromkeys(("ru", "uk", "be", "bg", "mk", "sr", "kk", "ky", "mn", "tg"), ("Cyrillic",)),
    **dict.fromkeys(("ar", "fa", "ur", "ps"), ("Arabic",)),
    **dict.fromkeys(("hi", "mr", "ne"), ("Devanagari",)),
    **dict.fromkeys(("bn", "gu", "kn", "ml", "pa", "si", "ta", "te"), ("an Indic script",)),
    "zh": ("Han",), "ja": ("Han", "kana"), "ko": ("Hangul", "Han"), "he": ("Hebrew",), "th": ("Thai",),
    "lo": ("Lao",), "my": ("Burmese",), "ka": ("Georgian",), "hy": ("Armenian",), "am": ("Ethiopic",), "km": ("Khmer",),
}  # fmt: skip
_ABOUT_LANGUAGE = frozenset(name.lower() for name in LANGUAGES.values()) | {
    "mandarin", "cantonese", "farsi", "filipino", "latin", "sanskrit", "kanji", "hiragana", "katakana", "pinyin",
    "cyrillic", "hangul", "language", "languages", "bilingual", "multilingual",
}  # fmt: skip


def is_about_language(question: str) -> bool:
    """Whether a question names a language, or speaks of translating: its reply may well hold more than one."""
    text = question.lower()
    return "translat" in text or "etymolog" in text or not _ABOUT_LANGUAGE.isdisjoint(_LETTERS.findall(text))


def language_of(text: str) -> str | None:
    """The code of the language that the text's prose begins in; None where that cannot be told."""
    if _is_plainly_english(text[:PIECE]):
        return "en"
    shares = _shares(prose_of(text[:PIECE]))
    language, share = max(shares.items(), key=lambda pair: pair[1], default=("", 0.0))
    return language if share >= SURE and language != _NO_LANGUAGE else None


def other_language(text: str, wanted: str) -> str | None:
    """The code of a language, other than `wanted`, that the text or a long part of it is in; None if none for sure."""
    for piece in _pieces(text):
        if wanted == "en" and _is_plainly_english(piece):
            continue
        shares = _shares(prose_of(piece))
        if not shares:
            continue
        language, share = max(shares.items(), key=lambda pair: pair[1])
        # Which of two relatives it is (Czech, Slovak) may be open where it is certain that it is not English.
        if share >= LIKELY and shares[wanted] + shares[_NO_LANGUAGE] <= UNLIKELY:
            return language
    return None


def scripts_in(text: str) -> frozenset[str]:
    """The scripts of which the text holds a letter, Latin and Greek apart."""
    if text.isascii():
        return frozenset()
    return frozenset(_NAMES[int(str(match.lastgroup)[1:])] for match in _WORD.finditer(text))


def scripts_of(language: str) -> frozenset[str]:
    """The scripts that a language is written in, Latin and Greek apart."""
    return frozenset(_SCRIPTS_OF.get(language, ()))


def foreign_word(text: str, scripts: frozenset[str]) -> tuple[str, str] | None:
    """The first word in a script that is none of `scripts`, with the script's name. A lone letter is a symbol."""
    if text.isascii():
        return None
    for match in _WORD.finditer(text):
        script = _NAMES[int(str(match.lastgroup)[1:])]
        if script not in scripts and len(match[0]) >= (2 if script in _DENSE else 3):
            return match[0], script
    return None


def has_words(text: str) -> bool:
    """Whether there are so many letters that they are more than symbols and units."""
    return _weight(prose_of(text[:PIECE])) >= LEAST_OF_WORDS


def is_mostly_latin(text: str) -> bool:
    others = sum(len(match[0]) for match in _WORD.finditer(text))
    return sum(map(len, _LETTERS.findall(text))) > 2 * others


def prose_of(text: str) -> str:
    """The words of a text without its formulas, code, commands of LaTeX, addresses and numbers."""
    return " ".join(_NOT_PROSE.sub(" ", text).split())


def _pieces(text: str) -> Iterator[str]:
    size = min(PIECE, max(SMALLEST_PIECE, len(text) // 2))
    last = len(text) - size
    starts = [0, last // 2, last] if last > 2 * size else [0, last] if last > 0 else [0]
    for start in starts:
        is_code = text.count("```", 0, start) % 2 == 1
        yield ("```" if is_code else "") + text[start : start + size]


def _is_plainly_english(piece: str) -> bool:
    if len(piece.encode("utf-8", "replace")) > 1.05 * len(piece):
        return False
    words = piece.lower().split()
    hits = sum(map(_ENGLISH.__contains__, words))
    if hits >= LEAST_HITS and hits >= PLAINLY_ENGLISH * len(words):
        return True
    plain = [word for word in words if word.isalpha()]  # formulas and numbers are words of no language
    return sum(map(len, plain)) >= LEAST_LETTERS and hits >= PLAINLY_ENGLISH * len(plain)


def _weight(prose: str) -> int:
    """Letters; one of a script whose words have few characters counts as four."""
    letters = sum(map(len, _LETTERS.findall(prose)))
    if prose.isascii():
        return letters
    dense = sum(len(match[0]) for match in _WORD.finditer(prose) if _NAMES[int(str(match.lastgroup)[1:])] in _DENSE)
    return letters + 3 * dense


def _shares(prose: str) -> dict[str, float]:
    """The share of each language; nothing where there is too little to tell."""
    if _weight(prose) < LEAST_LETTERS:
        return {}
    return dict(_identifier().rank(prose[:PART]))


@cache
def _identifier() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # a second to load, and numpy

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    # Small relatives of large languages (of English, Pidgin) would take shares from them.
    identifier.set_languages([*LANGUAGES, _NO_LANGUAGE])
    return identifier
