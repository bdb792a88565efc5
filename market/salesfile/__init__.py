"""Sales as people have them, as a checked table: :func:`table.read_sales` gives a :class:`table.Sales`.

:mod:`files` and :mod:`text_files` read what there is as :mod:`texts`, :mod:`shapes` finds the columns that mean something,
:mod:`columns` makes numbers (:mod:`numbers`) and periods (:mod:`dates`) of them, and :mod:`rows` one row a market, period
and seller. :class:`findings.Findings` gathers what was done on the way, and what is wrong, each with its lines, into one
message; :class:`options.ReadingOptions` is what the user decides.
"""
