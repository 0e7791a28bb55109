"""The embedded default: five families of questions, a small teacher, a smaller base student."""
