"""`bazaar tournament`: everybody against everybody, ``run.tournament``.

``entries`` says who takes part, ``schedule`` in which line-ups, ``play`` plays these in parallel, ``results`` works out
payoffs, ranking, cross-play and equilibria, and ``view`` shows them.
"""
