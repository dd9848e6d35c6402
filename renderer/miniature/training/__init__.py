"""The training, from drawn pictures to a model folder."""
