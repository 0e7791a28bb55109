"""The first stage: where questions come from, and asking them of the teacher so that each reply is paid for once."""
