"""What a Prometheus server reads: how much is asked, how long it takes, and how often rails, rules and ranges matter."""

from __future__ import annotations

import time
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest

from policies.serving.guard import App, Receive, Scope, Send

disable_created_metrics()  # type: ignore[no-untyped-call]  # no figure of when counting began
BUCKETS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5)  # seconds


class Metrics:
    """Counters of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        made: dict[str, Any] = {"registry": self.registry, "namespace": "bazaar"}
        self.requests = Counter("requests", "Requests answered", ["route", "status"], **made)
        self.seconds = Histogram("request_seconds", "Time to an answer, s", ["route"], buckets=BUCKETS, **made)
        self.decisions = Counter("decisions", "Decisions made and logged", ["seller", "mode"], **made)
        self.rails = Counter("rails_bound", "Decisions that a rail moved", ["seller", "rail"], **made)
        self.fallbacks = Counter("fallbacks", "Decisions of the rule, since the policy could not", ["seller"], **made)
        self.outside = Counter("inputs_outside", "Inputs outside what was met in training", ["seller", "input"], **made)
        self.outcomes = Counter("outcomes", "Outcomes told", ["seller"], **made)

    def decided(self, seller: str, mode: str, answers: Sequence[Mapping[str, Any]]) -> None:
        """Count new decisions."""
        self.decisions.labels(seller, mode).inc(len(answers))
        for answer in answers:
            policy = answer.get("shadow", answer)
            for rail in answer["bound"]:
                self.rails.labels(seller, rail.partition(":")[0]).inc()
            for field in answer["outside"]:
                self.outside.labels(seller, field.partition(" ")[0]).inc()
            if policy["by"] != "policy":
                self.fallbacks.labels(seller).inc()

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self.requests.labels(route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """As Prometheus reads it."""
        return generate_latest(self.registry)


class Counted:
    """ASGI: counts and times what passes, by the route's pattern and never by the path: there are few of them."""

    def __init__(self, app: App, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        began, status = time.perf_counter(), 500

        async def noted(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path", "none").replace(":path", "")
            self.metrics.answered(route, status, time.perf_counter() - began)
