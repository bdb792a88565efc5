"""The market as arrays: :class:`batch.MarketBatch` steps thousands of markets side by side through the kernel.

:class:`decisions.Decisions` encodes what a seat decides, :mod:`observation` what it sees; :mod:`render` draws both, and
says what every picture looks like.
"""
