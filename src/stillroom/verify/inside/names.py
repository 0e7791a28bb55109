"""The names that a source of tests uses: what the answer has to define is among them."""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterator


def file_of(index: int) -> str:
    """What the source of the tests at this place is compiled as."""
    return f"<tests {index}>"


def free_names(source: str, index: int) -> Iterator[tuple[str, bool]]:
    """The names that a source uses and does not define, and whether a part of it is asked for, as in `math.pi`."""
    table = symtable.symtable(source, file_of(index), "exec")
    own = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    looked_into = (node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute))
    bases = {node.id for node in looked_into if isinstance(node, ast.Name)}
    waiting = [table]
    seen: set[str] = set()
    while waiting:
        one = waiting.pop()
        waiting += one.get_children()
        for symbol in one.get_symbols():
            name = symbol.get_name()
            if symbol.is_referenced() and symbol.is_global() and name not in own | seen:
                seen.add(name)
                yield name, name in bases
