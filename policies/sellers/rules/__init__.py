"""Fixed competitors: a pricing rule and a replenishment rule, composed by name as in ``nash+base_stock``.

``compose.parse_rules`` reads them, ``compose.compose`` seats them, ``level_search.build`` also finds levels given as
``best``. The rules themselves are in ``pricing`` and ``replenishment``; one of one's own is added by
``compose.register_rule``.
"""
