"""Plain torch networks of learners and of saved sellers.

``architecture.Architecture`` describes one, ``architecture.build`` makes it and ``architecture.decide`` asks it. Its
parts: ``encoders`` (what it knows of earlier periods), ``heads`` (actors and critics), ``normalizer``.
"""
