"""The command line: words of a shell become an order, whose function carries it out and prints.

``main.main`` runs one command and says what went wrong, ``commands.COMMANDS`` lists them, ``commands.read`` makes the
order; options are declared in ``policies.config.orders``. ``board`` and ``configs`` are the commands that have no
function in Python.
"""
