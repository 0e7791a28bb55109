"""Which language a text is in, as far as its letters tell, and where they do not, as py3langid's statistic says."""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier  # type: ignore[import-untyped]

_SCRIPTS = {
    "ar": "ARABIC", "fa": "ARABIC", "ur": "ARABIC", "hi": "DEVANAGARI", "mr": "DEVANAGARI", "ne": "DEVANAGARI",
    "ru": "CYRILLIC", "uk": "CYRILLIC", "bg": "CYRILLIC", "ko": "HANGUL", "th": "THAI", "bn": "BENGALI", "ta": "TAMIL",
    "te": "TELUGU", "he": "HEBREW", "kn": "KANNADA", "gu": "GUJARATI", "pa": "GURMUKHI", "ml": "MALAYALAM",
    "el": "GREEK", "ja": "JAPANESE", "zh": "CJK",
}  # fmt: skip
"""The script of each language that is not written in Latin letters, by the first word of its letters' names."""
_OF_JAPANESE = ("HIRAGANA", "KATAKANA", "CJK")
_MOSTLY = 0.8
"""The share of a text's letters that must be in a script before the text is said to be written in it."""
_LEAST_LETTERS = 60
"""Below which the statistic is not asked."""
_SURE, _UNLIKELY = 0.95, 0.01
_LOOKED_AT = 4000
"""Characters."""


def is_in_language(text: str, code: str) -> bool | None:
    """Whether the text is in the language of this ISO 639-1 code. None: it cannot be told."""
    script, wanted = _script(text), _SCRIPTS.get(code.lower(), "LATIN")
    if script is None:
        return None
    if script != wanted:
        return False
    if list(_SCRIPTS.values()).count(wanted) == 1:
        return True
    if sum(map(str.isalpha, text)) < _LEAST_LETTERS:
        return None
    shares = dict(_identifier().rank(text[:_LOOKED_AT].lower()))
    share = shares.get(code.lower(), 0.0)
    return True if share >= _SURE else False if share <= _UNLIKELY else None


def _script(text: str) -> str | None:
    """The script of most letters; None where there are no letters, or several scripts."""
    names = Counter(unicodedata.name(character, "?").split()[0] for character in text if character.isalpha())
    if names["HIRAGANA"] or names["KATAKANA"]:
        names["JAPANESE"] = sum(names.pop(name, 0) for name in _OF_JAPANESE)
    if not names.total():
        return None
    name, count = names.most_common(1)[0]
    return name if count >= _MOSTLY * names.total() else None


@cache
def _identifier() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # a second to load, and numpy

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
