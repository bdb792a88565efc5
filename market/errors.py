"""The one exception that a user's mistake raises."""

from __future__ import annotations


class UserError(ValueError):
    """What the user gave cannot be used: the message names the place and the rule.

    Commands print it as one line and exit with status 2; libraries may catch it as a ``ValueError``.
    """
