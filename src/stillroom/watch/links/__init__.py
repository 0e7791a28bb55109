"""What ties accounts together: whether a group's questions, hours and keys agree more than chance explains."""
