"""A local model that answers in batches: requests join and leave at every step. Serving, training and exams use it."""
