"""What a single text of a file means: a heading or word (:mod:`words`), a number, a period, a time of day."""
