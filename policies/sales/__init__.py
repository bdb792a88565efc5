"""Commands on sales files: ``calibrate`` a market from one, ``forecast`` its units, ``record`` one from a simulation.

``reading`` reads the file as an order says. Beside each command lies what it shows, tables, a page and charts:
``calibration_table`` and ``forecast_view`` are printed and stand in the pages alike.
"""
