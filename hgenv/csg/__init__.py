"""Shapes by constructive solid geometry: grammar, population, renderer, export."""
