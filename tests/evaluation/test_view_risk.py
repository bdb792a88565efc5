"""The table of risk and service: every figure of the summaries, in order, and which is best."""

from __future__ import annotations

import io
import math

import pytest
from rich.console import Console

from market.metrics.summary import GLOSSARY
from policies.config.run import read_config
from policies.evaluation.compare import Comparison
from policies.evaluation.line_ups import LineUps
from policies.evaluation.view_risk import SECTIONS, best_value, in_order, risk_table
from policies.sellers.rules.level_search import build
from tests.helpers.small_run import ROOT

RULES = ["nash+base_stock", "cost_plus+base_stock(level=21)", "collusive+min_max"]


def compared(config_name: str, entrant: str, rules: list[str]) -> tuple[LineUps, Comparison]:
    changes = ["market.horizon=40", f"evaluation.competitors={rules}".replace("'", '"')]
    line_ups = LineUps(read_config(ROOT / "configs" / f"{config_name}.yaml", changes), 0)
    line_up = line_ups.chosen(rules[0])[0] if len(line_ups.spec.sellers) > 1 else line_ups.chosen(None)[0]
    return line_ups, line_ups.compare(
        0, {entrant: build(entrant, line_ups.spec, 0)}, line_up, 32, lambda text, episodes: None
    )


def printed(line_ups: LineUps, comparison: Comparison, columns: int) -> str:
    text = io.StringIO()
    risk_table(comparison, line_ups.spec, line_ups.config.evaluation, columns).print(Console(file=text, width=columns))
    return text.getvalue()


@pytest.fixture(name="duopoly", scope="module")
def _duopoly() -> tuple[LineUps, Comparison]:
    return compared("duopoly", "nash+forecast", RULES)


def test_every_measure_of_a_candidate_is_shown(duopoly: tuple[LineUps, Comparison]) -> None:
    line_ups, comparison = duopoly
    text = printed(line_ups, comparison, 160)
    shown = [name for names in SECTIONS.values() for name in names]
    assert len(set(shown)) == len(shown) and set(shown) <= GLOSSARY.keys()
    rows = [line.split() for line in text.splitlines()]
    for name, label in {
        "fill_rate": "fill rate ↑ share of units",
        "drawdown_length": "drawdown length ↓ days",
        "period_conditional_value_at_risk": "CVaR 5 % of days ↑ money",
        "volatility": "volatility ↓ money a day",
        "hhi": "HHI 0 to 1",
    }.items():
        [row] = [row for row in rows if row[: len(label.split())] == label.split()]
        form = "{:.2%}" if name == "fill_rate" else "{:.4g}"
        figures = [form.format(result.summary()[name]) for result in in_order(comparison)]
        assert row[len(label.split()) :] == figures
    assert "32 episodes of 40 days, the first 10 skipped" in text and "no room" not in text and "…" not in text


def test_the_subject_comes_first_and_then_what_it_has_to_beat(duopoly: tuple[LineUps, Comparison]) -> None:
    order = in_order(duopoly[1])
    assert order[0].policy == "nash+forecast" and order[0].entrant
    assert [result.mean for result in order[1:]] == sorted((r.mean for r in order[1:]), reverse=True)


def test_a_narrow_terminal_keeps_the_subject_and_the_best(duopoly: tuple[LineUps, Comparison]) -> None:
    line_ups, comparison = duopoly
    text = printed(line_ups, comparison, 75)
    left_out = ", ".join(result.policy for result in in_order(comparison)[2:])
    assert "…" not in text and f"No room in 75 columns for {left_out}: COLUMNS=" in " ".join(text.split())
    value = in_order(comparison)[1].summary()["profit"]
    assert f"{value:.4g}" in text


def test_made_to_order_shows_no_stock() -> None:
    line_ups, comparison = compared("calvano", "collusive", ["nash", "match"])
    text = printed(line_ups, comparison, 130)
    assert "fill rate" not in text and "HHI" in text and "volatility" in text


def test_a_monopoly_names_no_rivals() -> None:
    line_ups, comparison = compared("monopoly", "nash+forecast", ["cost_plus+base_stock"])
    assert printed(line_ups, comparison, 130).startswith("shop: risk and service")


def test_the_level_is_named(duopoly: tuple[LineUps, Comparison]) -> None:
    line_ups, comparison = duopoly
    text, settings = io.StringIO(), line_ups.config.evaluation.model_copy(update={"risk_level": 0.025})
    risk_table(comparison, line_ups.spec, settings, 160).print(Console(file=text, width=160))
    assert "CVaR 2.5 % of episodes" in text.getvalue()


def test_the_best_value() -> None:
    assert best_value("fill_rate", [0.9, 0.95, math.nan]) == 0.95
    assert best_value("volatility", [3.0, 2.0]) == 2.0
    assert best_value("price", [3.0, 2.0]) is None
    assert best_value("volatility", [2.0, 2.0]) is None
    assert best_value("volatility", [math.nan]) is None
