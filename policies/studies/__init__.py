"""Questions asked of sellers, a folder each; ``run`` has the function behind the command, which returns a typed result.

``tournament``, ``exploit``, ``deviate``, ``multi_seed``, ``tuning``, ``calvano``, ``theory`` and ``bench``; what one found
is shown by its ``view.tables``, on the terminal and in the report alike.
"""
