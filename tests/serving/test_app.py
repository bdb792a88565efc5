"""The HTTP interface: what it answers is what the seller decides, and every mistake is told with its place."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from market.errors import UserError
from policies.deployment.decider import Decider
from policies.deployment.states import told_states
from policies.serving import app, guard
from policies.serving.app import application
from policies.serving.desk import Desk
from policies.serving.log import TABLES, DecisionLog
from tests.serving.conftest import STATE

DECIDE, OUTCOMES = "/v1/sellers/left/decide", "/v1/sellers/left/outcomes"


@pytest.fixture(name="http")
def _http(desks: dict[str, Desk], log: DecisionLog) -> Iterator[TestClient]:
    with TestClient(application(desks, log), raise_server_exceptions=False) as client:
        yield client


def refused(answer: Any, status: int) -> str:
    assert answer.status_code == status and set(answer.json()) == {"error"}, answer.text
    return str(answer.json()["error"])


def figures(http: TestClient) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(http.get("/metrics").text)
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def test_answers_are_the_deciders_and_stand_in_the_log(http: TestClient, decider: Decider, log: DecisionLog) -> None:
    states = [STATE | {"on_hand": units, "id": f"shop {units}"} for units in (0, 7, 40)]
    answers = http.post(DECIDE, json=states).json()["decisions"]
    found = decider.decide(told_states(states, "state", decider.spec, 0, decider.fields, decider.remembers))
    assert [one["price"] for one in answers] == found.price.tolist()
    assert [one["order"] for one in answers] == found.order.tolist()
    assert [one["id"] for one in answers] == ["shop 0", "shop 7", "shop 40"]
    assert [one["bound"] for one in answers] == found.bound
    kept = http.get("/v1/decisions").json()["decisions"]
    assert [{name: row[name] for name in answers[0]} for row in kept] == answers
    assert [row["state"] for row in kept] == states
    alone = http.post(DECIDE, json=states[1]).json()["decisions"]
    assert len(alone) == 1 and alone[0]["price"] == answers[1]["price"] and len(log.decisions()) == 4


def test_a_request_with_a_key_is_decided_once(http: TestClient, log: DecisionLog) -> None:
    headers = {"Idempotency-Key": "monday"}
    first = http.post(DECIDE, json=STATE, headers=headers)
    again = http.post(DECIDE, json=dict(reversed(STATE.items())), headers=headers)  # the same, said in another order
    assert first.json() == again.json() and len(log.decisions()) == 1
    assert again.headers["Idempotent-Replay"] == "true" and "Idempotent-Replay" not in first.headers
    other = http.post(DECIDE, json=STATE | {"on_hand": 3}, headers=headers)
    assert "monday: another request for left had this key" in refused(other, 409)
    assert http.post("/v1/sellers/right/decide", json=right_state(http), headers=headers).status_code == 200
    assert "Idempotency-Key" in refused(http.post(DECIDE, json=STATE, headers={"Idempotency-Key": "x" * 201}), 422)


def right_state(http: TestClient) -> Any:
    return http.get("/v1/sellers/right").json()["example_state"]


def test_the_contract_names_every_field_and_its_example_is_decided(http: TestClient, decider: Decider) -> None:
    assert [one["seller"] for one in http.get("/v1/sellers").json()["sellers"]] == ["left", "right"]
    contract = http.get("/v1/sellers/left").json()
    assert [one["name"] for one in contract["inputs"]] == [field.name for field in decider.fields]
    assert contract["mode"] == "live" and contract["rails"]["price"] == [1.5, 1.9]
    answer = http.post(DECIDE, json=contract["example_state"]).json()["decisions"][0]
    assert answer["outside"] == [] and answer["by"] == "policy"


def test_outcomes_stand_beside_decisions(http: TestClient) -> None:
    one, two = (row["decision"] for row in http.post(DECIDE, json=[STATE, STATE]).json()["decisions"])
    told = {"decision": one, "sold": 5, "lost": 2, "rivals": {"right": {"price": 1.7, "sold": 9}}}
    assert http.post(OUTCOMES, json=told).json() == {"outcomes": 1, "new": 1}
    assert http.post(OUTCOMES, json=[told, {"decision": two, "sold": 0}]).json() == {"outcomes": 2, "new": 1}
    kept = http.get("/v1/decisions").json()["decisions"]
    assert kept[0]["outcome"] == {"sold": 5, "lost": 2, "rivals": {"right": {"price": 1.7, "sold": 9}}}
    assert kept[1]["outcome"] == {"sold": 0}
    assert f"decision {one}: has an outcome already" in refused(http.post(OUTCOMES, json=told | {"sold": 6}), 409)
    assert "decision 999: left made none" in refused(http.post(OUTCOMES, json={"decision": 999, "sold": 1}), 404)
    assert figures(http)["bazaar_outcomes_total", "left"] == 2


def test_the_log_is_read_by_pages(http: TestClient) -> None:
    http.post(DECIDE, json=[STATE | {"id": str(k)} for k in range(5)])
    labels: list[str] = []
    after: int | None = 0
    while after is not None:
        page = http.get("/v1/decisions", params={"after": after, "limit": 2}).json()
        labels += [row["id"] for row in page["decisions"]]
        after = page["next"]
    assert labels == list("01234")
    latest = http.get("/v1/decisions", params={"latest": True, "limit": 2}).json()["decisions"]
    assert [row["id"] for row in latest] == ["3", "4"]
    assert http.get("/v1/decisions", params={"seller": "right"}).json() == {"decisions": [], "next": None}
    assert "seller 'middle': not served here" in refused(http.get("/v1/decisions?seller=middle"), 404)
    assert "limit" in refused(http.get("/v1/decisions?limit=0"), 422)


MISTAKES: dict[str, tuple[str, str]] = {
    "no JSON": ("{", "body: is no JSON"),
    "a number that is none": ('{"on_hand": NaN}', "body: is no JSON (NaN is no number)"),
    "infinity": ('{"on_hand": -Infinity}', "body: is no JSON (-Infinity is no number)"),
    "more than any": ('{"on_hand": 1e999}', "state: on_hand: must be a number of at least 0, got inf"),
    "a number of 400 digits": ('{"on_hand": 1' + "0" * 400 + "}", "state: on_hand: must be a number"),
    "below zero": ('{"on_hand": -1}', "state: on_hand: must be a number of at least 0, got -1"),
    "text": ('{"on_hand": "many"}', "state: on_hand: must be a number of at least 0, got 'many'"),
    "a list": ('{"on_hand": [1]}', "state: on_hand: must be a number"),
    "an unknown field": ('{"onhand": 1}', "state: onhand: unknown field (did you mean on_hand?)"),
    "an unknown rival": ('{"rivals": {"rite": {"price": 1}}}', "state: rivals.rite.price: unknown field"),
    "no mapping": ("7", "state: must be a mapping"),
    "the second of two": ('[{"on_hand": 1}, {"sold": "x"}]', "state 2: sold: must be a number"),
    "no state": ("[]", "state: holds no state"),
    "half a letter": ('{"id": "\\ud800"}', "body: is no JSON"),
    "depth": ("[" * 100_000, "body: is no JSON"),
    "too many": (json.dumps([{}] * 10_001), "state: at most 10,000 in one request, got 10,001"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_wrong_state_is_told_and_not_decided(http: TestClient, log: DecisionLog, case: str) -> None:
    body, message = MISTAKES[case]
    told = refused(http.post(DECIDE, content=body.encode()), 422)
    assert message in told and "Traceback" not in told
    assert log.decisions() == []


def test_where_the_policy_cannot_decide_the_rule_does_and_without_one_nobody(http: TestClient) -> None:
    there = http.post(DECIDE, json={"on_hand": 3}).json()["decisions"][0]
    assert there["by"].startswith("rule (nash+base_stock): price, sold")
    assert [one.partition(" ")[0] for one in there["assumed"] if one.endswith("(usual)")] == [
        "price",
        "sold",
        "rivals.right.price",
    ]
    told = refused(http.post("/v1/sellers/right/decide", json={"on_hand": 3}), 422)
    assert "not given; rails.fallback names rules" in told
    assert figures(http)["bazaar_fallbacks_total", "left"] == 1


OUTCOME_MISTAKES: dict[str, tuple[Any, str]] = {
    "no decision": ({"sold": 1}, "outcome: decision: must be the number of a decision, got None"),
    "a decision of text": ({"decision": "1", "sold": 1}, "outcome: decision: must be the number"),
    "nothing sold": ({"decision": 1}, "outcome: sold: is required"),
    "below zero": ({"decision": 1, "sold": -2}, "outcome: sold: must be a number of at least 0, got -2"),
    "a field": ({"decision": 1, "sold": 2, "los": 1}, "outcome: los: unknown field (did you mean lost?)"),
    "a rival": ({"decision": 1, "sold": 2, "rivals": {"left": {}}}, "outcome: rivals.left: no rival has this name"),
    "of a rival": ({"decision": 1, "sold": 2, "rivals": {"right": {"x": 1}}}, "rivals.right: must be a mapping"),
    "the second": ([{"decision": 1, "sold": 2}, 7], "outcome 2: must be a mapping"),
    "twice": ([{"decision": 1, "sold": 2}, {"decision": 1, "sold": 3}], "outcome 2: decision: 1 stands here twice"),
}


@pytest.mark.parametrize("case", OUTCOME_MISTAKES)
def test_a_wrong_outcome_is_told(http: TestClient, case: str) -> None:
    http.post(DECIDE, json=STATE)
    body, message = OUTCOME_MISTAKES[case]
    assert message in refused(http.post(OUTCOMES, json=body), 422)
    assert http.get("/v1/decisions").json()["decisions"][0]["outcome"] is None


def test_other_places_and_methods(http: TestClient) -> None:
    assert "seller 'middle': not served here; there are left, right" in refused(
        http.post("/v1/sellers/middle/decide", json=STATE), 404
    )
    assert "/v3: nothing is here; /docs lists what is" in refused(http.get("/v3"), 404)
    assert refused(http.delete("/v1/decisions"), 405)
    for path in ("/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready", "/docs", "/"):
        assert http.get(path).status_code == 200


def test_what_the_log_cannot_keep_is_not_decided(http: TestClient, log: DecisionLog) -> None:
    TABLES.drop_all(log.engine)
    assert "nothing is decided without it" in refused(http.post(DECIDE, json=STATE), 503)
    assert http.get("/health/ready").status_code == 503 and http.get("/health/live").status_code == 200


def test_an_error_of_our_own_says_nothing_of_itself(
    http: TestClient, decider: Decider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(Decider, "decide", fails)
    assert "secret" not in refused(http.post(DECIDE, json=STATE), 500)


def test_with_a_token_only_who_bears_it_is_answered(desks: dict[str, Desk], log: DecisionLog) -> None:
    with TestClient(application(desks, log, "word")) as http:
        for header in (
            {},
            {"Authorization": "Bearer other"},
            {"Authorization": "Basic word"},
            {"Authorization": "word"},
        ):
            answer = http.post(DECIDE, json=STATE, headers=header)
            assert "Authorization: must be 'Bearer TOKEN'" in refused(answer, 401)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
        for path in ("/v1/sellers", "/metrics", "/v1/decisions", "/v2/models/left"):
            refused(http.get(path), 401)
        for path in ("/", "/docs", "/openapi.json", "/health/live", "/health/ready"):
            assert http.get(path).status_code == 200
        assert log.decisions() == []
        assert http.post(DECIDE, json=STATE, headers={"Authorization": "Bearer word"}).status_code == 200


def test_a_large_body_is_refused_also_without_its_length(http: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MOST_BYTES", 1000)
    assert http.post(DECIDE, json=STATE).status_code == 200
    assert "at most 1,000 bytes" in refused(http.post(DECIDE, content=b" " * 1001), 413)
    assert "at most 1,000 bytes" in refused(http.post(DECIDE, content=(b" " * 100 for _ in range(11))), 413)


def test_figures_count_what_happened(http: TestClient, decider: Decider) -> None:
    http.post(DECIDE, json=[STATE, STATE | {"price": 99.0}])
    http.post(DECIDE, content=b"{")
    found = figures(http)
    answers = http.get("/v1/decisions").json()["decisions"]
    assert found["bazaar_decisions_total", "live", "left"] == 2
    assert found["bazaar_requests_total", "/v1/sellers/{seller}/decide", "200"] == 1
    assert found["bazaar_requests_total", "/v1/sellers/{seller}/decide", "422"] == 1
    assert found["bazaar_request_seconds_count", "/v1/sellers/{seller}/decide"] == 2
    assert found["bazaar_inputs_outside_total", "price", "left"] >= 1
    rails = [rail.partition(":")[0] for one in answers for rail in one["bound"]]
    assert rails
    for rail in set(rails):
        assert found["bazaar_rails_bound_total", rail, "left"] == rails.count(rail)


def test_in_shadow_the_rule_is_answered_and_the_policy_kept_beside(
    http: TestClient, decider: Decider, desks: dict[str, Desk], log: DecisionLog
) -> None:
    states = [STATE | {"on_hand": units} for units in (1, 9, 21)]
    live = http.post(DECIDE, json=states).json()["decisions"]
    with TestClient(application({"left": Desk(decider, "shadow")}, log)) as other:
        shadow = other.post(DECIDE, json=states).json()["decisions"]
        assert figures(other)["bazaar_decisions_total", "shadow", "left"] == 3
        assert ("bazaar_fallbacks_total", "left") not in figures(other)
    for one, was, state in zip(shadow, live, states, strict=True):
        assert one["by"] == "rule (nash+base_stock): shadow"
        assert one["shadow"] == {name: was[name] for name in ("price", "order", "level", "by", "bound")}
        assert one["price"] == np.clip(was["rule_price"], 1.5, 1.9)  # within the same rails
        assert one["order"] == 5 * np.floor(was["rule_order"] / 5 + 0.5)
        assert one["level"] == state["on_hand"] + one["order"]


def test_a_seller_that_cannot_be_had_leaves_the_one_there_in_place(
    desks: dict[str, Desk], log: DecisionLog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried, stamps = threading.Event(), iter(range(10**9))

    def renew(folder: Path, seller: str) -> Desk:
        tried.set()
        raise UserError("lineage.json: is damaged")

    monkeypatch.setattr(app, "GLANCE", 0.001)
    monkeypatch.setattr(app, "stamp", lambda folder: next(stamps))  # always another
    with TestClient(application(desks, log, renew=renew)) as http:
        assert tried.wait(60)
        assert http.post(DECIDE, json=STATE).json()["decisions"][0]["version"] == desks["left"].version
    assert "left stays as it is: lineage.json: is damaged" in caplog.text


def test_all_deciding_is_done_in_one_thread(http: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of an outlook, which plays on in another: a decider's market is put into one state after another."""
    real, threads = Decider.decide, list[int]()

    def noted(self: Decider, given: Any) -> Any:
        threads.append(threading.get_ident())
        return real(self, given)

    monkeypatch.setattr(Decider, "decide", noted)
    for path in (DECIDE, "/v1/sellers/left/outlook?periods=2&episodes=4", DECIDE):
        assert http.post(path, json=STATE).status_code == 200
    assert len(threads) == 3 and len(set(threads)) == 1


def test_what_a_decision_is_worth_is_paired(http: TestClient) -> None:
    found = http.post("/v1/sellers/left/outlook?periods=5&episodes=16", json=STATE).json()
    assert (found["periods"], found["episodes"]) == (5, 16)
    policy, rule, same = found["profit"]
    assert (policy, rule, same) == ("left (dqn)", "nash+base_stock", "as last period")
    for other in (rule, same):
        gap = found["profit"][policy]["mean"] - found["profit"][other]["mean"]
        assert found["advantage"][other]["mean"] == pytest.approx(gap)
    assert http.get("/v1/decisions").json()["decisions"] == []  # nothing was decided
    assert "one at a time" in refused(http.post("/v1/sellers/left/outlook", json=[STATE]), 422)


# ------------------------------------------------------------------------------------------------ Open Inference Protocol


def tensors(states: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Flat states as the protocol's inputs."""
    columns = {name: [state[name] for state in states] for name in states[0]}
    return [
        {"name": n, "shape": [len(v), 1], "datatype": "FP64", "data": [[one] for one in v]} for n, v in columns.items()
    ]


def test_the_inference_protocol_answers_the_same(http: TestClient, log: DecisionLog) -> None:
    flat = [
        {"on_hand": k, "price": 1.8, "sold": 6, "lost": 0, "rivals.right.price": 1.75, "rivals.right.in_stock": 1}
        for k in (2, 9)
    ]
    told = [STATE | {"on_hand": k, "rivals": {"right": {"price": 1.75, "in_stock": True}}} for k in (2, 9)]
    plain = http.post(DECIDE, json=told).json()["decisions"]
    answer = http.post("/v2/models/left/infer", json={"id": "r1", "inputs": tensors(flat)}).json()
    assert (answer["model_name"], answer["id"]) == ("left", "r1")
    found = {one["name"]: one["data"] for one in answer["outputs"]}
    assert found == {
        name: [row[key] for row in plain]
        for name, key in (("new_price", "price"), ("level", "level"), ("order", "order"))
    }
    assert len(log.decisions()) == 4
    assert answer["parameters"]["decisions"] == [row["decision"] for row in log.decisions()[2:]]
    only = http.post("/v2/models/left/infer", json={"inputs": tensors(flat), "outputs": [{"name": "order"}]}).json()
    assert [one["name"] for one in only["outputs"]] == ["order"] and only["outputs"][0]["shape"] == [2]
    once, twice = (
        http.post("/v2/models/left/infer", json={"inputs": tensors(flat)}, headers={"Idempotency-Key": "k"})
        for _ in range(2)
    )
    assert once.json() == twice.json()
    about = http.get("/v2/models/left").json()
    assert [one["name"] for one in about["inputs"]] == list(flat[0])
    assert [one["name"] for one in about["outputs"]] == list(found)
    assert http.get("/v2").json()["name"] == "bazaar" and http.get("/v2/models/left/ready").status_code == 200


PROTOCOL: dict[str, tuple[Any, str]] = {
    "no inputs": ({}, "inputs: must be a list of tensors"),
    "a list": ([], "inputs: must be a list of tensors"),
    "a name": ({"inputs": [{"name": "onhand", "shape": [1], "datatype": "FP64", "data": [1]}]}, "inputs.0: onhand: no input has this name"),
    "a type": ({"inputs": [{"name": "on_hand", "shape": [1], "datatype": "BYTES", "data": ["a"]}]}, "inputs.0: datatype: must be one of"),
    "a shape": ({"inputs": [{"name": "on_hand", "shape": [2], "datatype": "FP64", "data": [1]}]}, "inputs.0: data: must be a list of as many"),
    "an output": ({"inputs": [{"name": "on_hand", "shape": [1], "datatype": "FP64", "data": [1]}], "outputs": [{"name": "x"}]}, "outputs: 'x': must be one of"),
}  # fmt: skip


@pytest.mark.parametrize("case", PROTOCOL)
def test_what_is_none_of_the_protocol_is_told(http: TestClient, log: DecisionLog, case: str) -> None:
    body, message = PROTOCOL[case]
    assert message in refused(http.post("/v2/models/left/infer", json=body), 422)
    assert log.decisions() == []


def test_a_log_on_postgres_is_one_too(desks: dict[str, Desk], postgres: str) -> None:
    log = DecisionLog(postgres)
    try:
        with TestClient(application(desks, log)) as http:
            answer = http.post(DECIDE, json=STATE, headers={"Idempotency-Key": "k"}).json()
            assert http.post(DECIDE, json=STATE, headers={"Idempotency-Key": "k"}).json() == answer
            with log.engine.begin() as connection:
                assert connection.execute(text("SELECT count(*) FROM decisions")).scalar() == 1
    finally:
        TABLES.drop_all(log.engine)
        log.close()
