"""A run's sellers behind HTTP: decisions, what came of them, and a log that has both."""
