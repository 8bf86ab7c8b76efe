"""HTML pages that need nothing but themselves: no network, no other file."""
