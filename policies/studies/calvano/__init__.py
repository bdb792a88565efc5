"""`bazaar reproduce`: the experiment of Calvano et al. (2020), ``run.reproduce``.

``tabular_q`` and ``deep`` make sellers learn, ``strategies`` plays what they learned, as tables, ``findings`` says what
these do in the long run and after a deviation.
"""
