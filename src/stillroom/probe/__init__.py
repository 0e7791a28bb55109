"""Evidence, from text or likelihood, on whether a suspect model learned from replies that were served."""
