"""From a sales file to a market: the (nested) logit estimated with pyblp, shocks, promotions and costs, and its checks.

:func:`calibrate.calibrate` fits, :func:`validation.validate` holds the fitted market against weeks that it has not
seen, :func:`market_file.configuration` writes it as a configuration and :func:`summary.summary` as plain data.
Needs the extra ``calibrate``.
"""
