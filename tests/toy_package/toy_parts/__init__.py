"""Parts of hgenv that live in a package of their own."""
