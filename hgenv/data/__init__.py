"""Readers of datasets on disk, one file each. They read, and never write or unpickle."""
