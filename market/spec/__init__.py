"""What a configuration says of a market: :class:`models.MarketSpec`, whose keys carry their own description.

:mod:`loading` reads YAML into a model with one message a mistake, :mod:`builtin` finds configurations by name.
"""
