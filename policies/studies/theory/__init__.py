"""`bazaar theory`: equilibrium prices, slopes of demand, levels of stock and exact optima of a market, ``run.theory``.

``run.theory_report`` works them out as plain data; needs neither torch nor Tianshou.
"""
