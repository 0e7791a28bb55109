"""What can be said of a text without a model: think blocks, later n-grams, MinHash, skeletons."""
