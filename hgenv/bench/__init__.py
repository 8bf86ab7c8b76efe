"""Benchmarks: how good the gradient is, how fast the renderer is."""
