"""A trained seller in real life: one decision from a state of things as they are, kept within rails, and what it is worth."""
