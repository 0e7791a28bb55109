"""Whether each row of a data set is what the teacher's owner signed, and was made under a permit."""
