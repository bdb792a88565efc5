"""A sales file as a checked table: :func:`table.read_sales` gives a :class:`table.Sales`.

:mod:`files` reads CSV and Parquet as texts, :mod:`columns` makes numbers and periods of them, and
:class:`findings.Findings` gathers what is wrong, each with its lines, into one message.
"""
