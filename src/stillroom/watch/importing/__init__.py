"""Calls that other programs wrote down, as the tables that `watch` reads: docs/import.md.

`reading` a file gives records; `records.Rows` makes calls of them, as the `mapping` says; `segments` keeps those that
are not there yet; `importer.import_calls` does all three, and says what it did.
"""
