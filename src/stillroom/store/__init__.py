"""What a run keeps: the journal (every reply that was paid for), tables for stages and other tools, and whole files."""
