"""The command line, `hgenv`."""
