"""Questions that repeat each other, and questions that an examination holds too."""
