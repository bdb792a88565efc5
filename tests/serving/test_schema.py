"""Requests made from the interface's own description: none ends in an error of ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import booleans

from policies.serving.app import application
from policies.serving.desk import Desk
from policies.serving.log import DecisionLog

schemathesis = pytest.importorskip("schemathesis", reason="no schemathesis here")


@pytest.fixture(scope="module", name="interface")
def _interface(desks: dict[str, Desk], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    log = DecisionLog(f"sqlite:///{tmp_path_factory.mktemp('log') / 'x.db'}")
    yield schemathesis.openapi.from_asgi("/openapi.json", application(desks, log))
    log.close()


def test_no_request_ends_in_an_error_of_ours(interface: Any) -> None:
    """Half of the requests about a seller are about one that is there."""
    seen = set()
    for operation in (found.ok() for found in interface.get_all_operations()):

        @settings(
            max_examples=30,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(), there=booleans())
        def asked(case: Any, there: bool) -> None:
            if "seller" in case.path_parameters and there:
                case.path_parameters["seller"] = "left"
            answer = case.call()
            seen.add((case.path, answer.status_code))
            assert answer.status_code < 500, answer.text
            if answer.status_code >= 400:
                assert answer.json()["error"]

        asked()
    assert {
        (f"/v1/sellers/{{seller}}/{what}", status)
        for what in ("decide", "outcomes", "outlook")
        for status in (404, 422)
    } <= seen
    assert {status for _, status in seen} >= {200, 404, 422}
