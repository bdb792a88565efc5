"""Games whose payoffs are a table, such as tournaments and populations of sellers play. Pure functions of arrays.

``equilibria``: regrets, all Nash equilibria of one or two seats and how sure they are, coarse correlated equilibria of any
number. ``empirical_game.EmpiricalGame`` grows with a population. ``ranking``: mean ranks and Elo-like ratings.
"""
