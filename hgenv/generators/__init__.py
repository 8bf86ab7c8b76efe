"""Generators of your own: the files that declare them, and one that is built in."""
