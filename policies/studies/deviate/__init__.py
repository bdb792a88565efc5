"""`bazaar deviate`: what follows when a seller leaves its policy for one period, ``run.deviate``.

``impulse`` plays the market with and without the deviation; ``run.DeviationResponse`` is what was found.
"""
