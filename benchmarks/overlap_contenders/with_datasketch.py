"""Exact and near duplicates by datasketch, as its documentation shows it: run by benchmarks/overlap_million.py.

Takes a file of [id, text] lines. Prints seconds, the most memory that was resident, and the ids that are left out.
"""

import json
import re
import resource
import sys
import time
from pathlib import Path

from datasketch import MinHash, MinHashLSH  # type: ignore[import-not-found]

THRESHOLD, VALUES, SHINGLE = 0.7, 80, 3


def main() -> None:
    rows = [json.loads(line) for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()]
    began = time.perf_counter()
    index = MinHashLSH(threshold=THRESHOLD, num_perm=VALUES)
    seen, left_out = set(), []
    for identity, text in rows:
        words = re.findall(r"\w+", text.lower())
        plain = " ".join(words)
        if plain in seen:
            left_out.append(identity)
            continue
        seen.add(plain)
        signature = MinHash(num_perm=VALUES)
        signature.update_batch([" ".join(words[at : at + SHINGLE]).encode() for at in range(len(words) - SHINGLE + 1)])
        if index.query(signature):
            left_out.append(identity)
            continue
        index.insert(identity, signature)
    seconds = time.perf_counter() - began
    mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "mb": mb, "left_out": left_out}))


if __name__ == "__main__":
    main()
