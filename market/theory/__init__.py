"""What theory and exact solvers say of a market, to hold sellers against.

:mod:`newsvendor` has demand quantiles, levels and the profit gain, :mod:`seasonal` levels that follow
what is known ahead, :func:`reorder.reorder_levels` when to order where that costs,
:func:`best_response.best_response` the best price,
:func:`optimum.solve` the exact optimum of a seat (:mod:`mdp`, :mod:`bellman`), :func:`upper_bound.profit_bound` what
nobody can exceed, :class:`price_game.PriceGame` the game on price grids.
"""
