"""How near a suspect's answers are to a teacher's, among models that have nothing to do with either: a ranking."""
