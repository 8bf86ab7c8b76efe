"""Generators in processes of their own: how they are declared, started and asked."""
