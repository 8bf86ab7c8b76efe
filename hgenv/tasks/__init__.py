"""Tasks, one file an environment."""
