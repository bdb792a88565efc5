"""How results are shown: the one table, the one HTML page, its charts, formats of numbers.

``table.Table`` is printed, written into a page, or plain data; ``page.Page`` is a template of ``templates/`` filled with
values, and ``page.told`` what a template says in words; ``charts`` dresses plotly's figures, ``format`` writes numbers.
What pictures by matplotlib look like says ``market.simulation.render``.
"""
