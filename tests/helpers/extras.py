"""What comes with an extra and may not be installed."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

WITH = {"pyblp": "calibrate", "statsforecast": "calibrate", "ray": "ray", "onnxruntime": "serve"}


def needs(name: str) -> pytest.MarkDecorator:
    """Looks without importing: every worker collects every file, and few of them run its tests."""
    why = f"{name} is not installed: pip install 'bazaar-market[{WITH[name]}]'"
    return pytest.mark.skipif(find_spec(name) is None, reason=why)
