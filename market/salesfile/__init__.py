"""Sales as people have them, as a checked table: :func:`table.read_sales` gives a :class:`table.Sales`.

:mod:`files` and :mod:`text_files` read what there is as :mod:`texts`, :mod:`shapes` finds the columns that mean something,
:mod:`parts` makes one table of several, :mod:`apart` takes out what is no sale, :mod:`columns` makes numbers and periods of
texts, as :mod:`cells` has them, and :mod:`rows` one row a market, period and seller. :class:`findings.Findings` gathers
what was done on the way, and what is wrong, each with its lines, into one message; :class:`options.ReadingOptions` is what
the user decides.
"""
