"""The parts of a training: what is drawn for each step, what the loss is, and what is kept of it."""
