"""Training a student on checked traces: render, batch, loss, loop, checkpoint. The loop is ours."""
