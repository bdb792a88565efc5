"""What customers want: :class:`logit.Logit` at posted prices, equilibrium and joint-profit prices, reward scales.

:mod:`script` lays down where and when an episode is played, :mod:`history` takes that from a sales file. Sellers never
run dry here: stock is the kernel's.
"""
