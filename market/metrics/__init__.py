"""What a ledger comes to: :func:`summary.summary` gives all measures of every seller, :data:`summary.GLOSSARY` their
names, units and meaning. The measures themselves are pure functions of arrays, in :mod:`service` and :mod:`risk`.
"""
