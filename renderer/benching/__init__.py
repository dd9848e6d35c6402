"""What `renderer.benchmark` is made of: the model, its rivals, clock and memory, the rounds, the report."""
