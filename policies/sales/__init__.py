"""Commands on sales files: ``calibrate`` a market from one, ``forecast`` its units, ``record`` one from a simulation.

Beside each command lies what it shows, tables, a page and charts: ``calibration_table`` and ``forecast_view`` are printed and
stand in the pages alike. ``reading`` has the options that say how a file is read.
"""
