"""Doubles for the outermost boundary: a teacher that misbehaves on request, over real HTTP, for our tests and yours."""

from stillroom.testing.teacher import Answer, MisbehavingTeacher

__all__ = ["Answer", "MisbehavingTeacher"]
