"""Commands on sales files: ``calibrate`` a market from one, ``forecast`` its units, ``record`` one from a simulation.

Beside each command lies what it shows: tables for the terminal, a page, charts.
"""
