"""Fitting into a device's memory: what a model takes, what a machine has, and how the one goes into the other."""
