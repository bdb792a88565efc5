"""Units of every seller some periods ahead: :mod:`series` from a sales file, :mod:`backtest` plans and scores.

:func:`models.backtest` fits statsforecast's models, chooses the best by a rolling origin and forecasts with it;
:mod:`intermittent` is the law and the score of series that sell in few periods.
Needs the extra ``calibrate``.
"""
