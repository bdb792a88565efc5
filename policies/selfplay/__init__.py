"""Learners at play in a market, one period at a time, in one of several modes.

``loop.SelfPlay`` (all learn at once in one market) is also the base of ``shared`` (one learner in several seats);
``league`` and ``psro`` play against a ``population``, whose members ``matchmaking`` draws. ``seating.Seats`` makes a
configuration's players; ``base.Mode`` is what a run (``policies.training.run``, which has the table of modes) sees.
"""
