"""Comparisons of optimizers, and instruments that measure estimates, steps and renderers."""
