"""Readers of datasets on disk, one file each. They write nothing to a dataset's folder, and unpickle nothing."""
