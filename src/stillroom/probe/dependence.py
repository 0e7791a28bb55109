"""Calls that earlier replies may have brought about: they would carry what an earlier coin said, and are left out.

The coins are fair given everything that was there before them. What a customer asks later may follow from which reply
was served, and would then say, beside the pair, which one that was.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

import orjson

from stillroom.probe.exclusions import Reason
from stillroom.store.siblings import Opening, Pair, question_id_of

_ENDS = re.compile(r"""[\n.!?:;"`“”«»]+""")
_LEAST_QUOTED = 30
"""Characters of a passage: shorter ones are in many texts by chance."""


def independent(found: Iterable[tuple[int, Pair, Opening]], left_out: Counter[Reason]) -> list[tuple[Pair, Opening]]:
    """Those that are kept, by time. `found`: with the time of the request (UTC microseconds); where times are the same,
    the order is that of `found`.

    Of a question that an account asked several times, the earliest call is kept, whatever came of the later ones: it
    may have been asked again because of what the first reply was. Not kept either is a request that quotes a passage of
    one of the two replies to an earlier one, of any account: to have it judged, say, or gone on with.
    """
    kept: list[tuple[Pair, Opening]] = []
    asked: set[tuple[str, str]] = set()
    said: set[str] = set()
    for _, pair, opening in sorted(found, key=lambda each: each[0]):
        request = set(_passages_of_request(pair))
        question = (opening.account, _with_single_blanks(pair))
        if question in asked:
            left_out["asked_again"] += 1
        elif not said.isdisjoint(request):
            left_out["quotes_a_reply"] += 1
        else:
            asked.add(question)
            # What a reply repeats of its own request, or of a template of requests, is no quotation of the reply.
            said.update(set(_passages(f"{pair.first}\n{pair.second}")) - request)
            kept.append((pair, opening))
    return kept


def _with_single_blanks(pair: Pair) -> str:
    """The request's messages, those alike that differ in nothing but white space."""
    messages = orjson.loads(pair.messages)
    return question_id_of([{**each, "content": " ".join(each["content"].split())} for each in messages])


def _passages_of_request(pair: Pair) -> Iterator[str]:
    for message in orjson.loads(pair.messages):
        yield from _passages(message["content"])


def _passages(text: str) -> Iterator[str]:
    for passage in _ENDS.split(text):
        words = " ".join(passage.split())
        if len(words) >= _LEAST_QUOTED:
            yield words
