"""Ground: records, messages, canonical bytes, errors. Imports nothing of ours and does no I/O."""
