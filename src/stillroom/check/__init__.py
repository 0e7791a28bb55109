"""What is kept of the replies, and why the rest is not: rows in = rows kept + rows rejected with a reason."""
