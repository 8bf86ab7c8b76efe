"""A local page: the runs and benches in some folders as they go, and a playground of beta."""
