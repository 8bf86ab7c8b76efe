"""Programs that make pictures in processes of their own, asked over pipes; sdk/ is what they may import."""
