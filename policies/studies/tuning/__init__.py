"""`bazaar tune`: a search over learners' options, ``run.tune``.

``space`` reads what is searched, ``study`` keeps the trials with Optuna, ``trial`` trains one, ``view`` has what was found.
"""
