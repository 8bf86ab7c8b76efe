"""Runs in the formats of other tools: one table of all their rows, or a study of what they have found."""
