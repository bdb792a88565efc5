"""A seller that was trained before learns from what has been sold since, and is replaced where that makes it better."""
