"""`bazaar theory`: figures against theory and the solver, and tables that a narrow terminal can show."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from market.demand.equilibrium import monopoly_prices, nash_prices, prices_in_range, prices_of
from market.demand.logit import Logit, elasticities, profits, shares
from market.errors import UserError
from market.spec.models import MarketSpec
from market.theory.optimum import solve
from policies.cli.main import main
from policies.config.run import RunConfig, read_config
from policies.studies.theory.run import EPISODES, MOST_PERIODS, _upper_bound, theory
from tests.helpers.duopoly import duopoly
from tests.helpers.theory_shown import shown
from tests.helpers.zipkin import zipkin

CONFIGS = Path(__file__).parents[2] / "configs"


def run_of(spec: MarketSpec) -> RunConfig:
    return RunConfig(market=spec)


@pytest.mark.parametrize("name", ["calvano", "monopoly", "duopoly", "orange_juice"])
def test_every_configuration_is_shown_within_100_columns(name: str) -> None:
    config = read_config(CONFIGS / f"{name}.yaml")
    text, report = shown(config)
    assert max(len(line) for line in text.splitlines()) <= 100
    assert all(seller in text for seller in config.market.names)
    assert "nan" not in text
    assert "…" not in text
    json.dumps(report, allow_nan=False)


def test_calvanos_figures() -> None:
    text, report = shown(read_config(CONFIGS / "calvano.yaml"))
    assert report["nash"]["price"] == pytest.approx([1.4729, 1.4729], abs=1e-4)
    assert report["joint"]["price"] == pytest.approx([1.9250, 1.9250], abs=1e-4)
    assert "1.4729" in text and "1.9250" in text
    exact = report["exact"]["first"]
    assert exact["average"] == pytest.approx(report["nash"]["profit"][0], rel=1e-9)
    assert exact["hindsight"]["profit"] == pytest.approx(exact["average"], rel=1e-9)
    assert exact["grid"]["average"] < exact["average"]
    assert "+0.0%" in text


def test_figures_are_theorys() -> None:
    spec = duopoly({"xi": 0.4})
    _, report = shown(run_of(spec))
    logit = Logit.of(spec)
    for key, find in (("nash", nash_prices), ("joint", monopoly_prices)):
        price, row = find(logit), report[key]
        assert row["price"] == price.tolist()
        assert row["lerner"] == pytest.approx(((price - [1.0, 1.2]) / price).tolist())
        assert row["share"] == shares(logit, price).tolist()
        assert row["profit"] == profits(logit, price).tolist()
    slopes = report["slopes"]
    assert slopes["elasticities"] == elasticities(logit, nash_prices(logit)).tolist()
    for k, row in enumerate(slopes["diversion"]):
        assert row[k] is None
        assert sum(x for x in row if x is not None) == pytest.approx(1.0)
    best = solve(spec, 1)
    assert report["exact"]["right"]["average"] == best.average
    patient = solve(spec, 1, gamma=0.95)
    assert report["exact"]["right"]["lost_to_discounting"] == pytest.approx(1 - patient.average / best.average)


def test_one_seat_its_discount_and_its_prices() -> None:
    spec = duopoly()
    text, report = shown(run_of(spec), seat="right", gamma=0.9, prices=9)
    assert list(report["exact"]) == ["right"]
    best, hasty = solve(spec, 1, prices=9), solve(spec, 1, prices=9, gamma=0.9)
    row = report["exact"]["right"]
    assert row["average"] == best.average
    assert row["discounted"]["value"] == hasty.value
    assert row["lost_to_discounting"] == pytest.approx(1 - hasty.average / best.average)
    assert "gamma 0.9 loses" in text
    assert f"{row['lost_to_discounting']:.2%}" in text
    assert "over 9 prices of the range" in " ".join(text.split()) and "So few prices" not in text
    assert "So few prices miss the best one" in shown(run_of(spec), seat="right", prices=2)[0]
    low, high = best.levels_ordered_to
    assert f"orders up to {low:g} to {high:g} units" in text
    with pytest.raises(UserError, match="--seat middle: the market's sellers are left, right"):
        theory("duopoly", seat="middle")


def test_the_policy_is_put_into_words() -> None:
    text, _ = shown(run_of(zipkin(4, 0, horizon=50)))
    assert "s" in text and "posts 4.0000, and orders up to 7, by stock and pipeline." in text
    assert "The monopoly price: none, since a single seller without an outside option has no finite best price" in (
        " ".join(text.split())
    )


def test_without_nash_prices_the_rest_is_still_shown() -> None:
    spec = duopoly({"reward_scale": 1.0}, price_form="log", price_sensitivity=0.9)
    text, report = shown(run_of(spec))
    flat = " ".join(text.split())
    assert "Bertrand-Nash prices: none, since with a log price no seller has a finite best price" in flat
    assert "Elasticities at the middle of the price ranges" in flat
    assert "left, right: no exact optimum, since with a log price" in flat
    assert np.isfinite(report["slopes"]["elasticities"]).all()


def test_what_no_exact_solution_covers_says_why_and_what_to_do() -> None:
    config = read_config(CONFIGS / "orange_juice.yaml")
    text, report = shown(config, seat="tropicana")
    flat = " ".join(text.split())
    assert "tropicana: no exact optimum, since events (market.sellers.*.event_frequency) are seen and last" in flat
    assert "`bazaar exploit` trains a response" in flat
    assert report["exact"]["tropicana"]["hindsight"]["profit"] > report["nash"]["profit"][2]


def test_too_many_levels_are_thinned_out_and_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("market.theory.mdp.MOST_WORK", 3e5)
    text, report = shown(run_of(duopoly()), seat="left")
    row = report["exact"]["left"]
    assert (row["prices"], row["levels"]) == (11, 21)
    assert row["average"] == solve(duopoly(), 0, prices=11, levels=21).average
    assert "(11 prices x 21 levels: all levels are too many)" in " ".join(text.split())
    monkeypatch.setattr("market.theory.mdp.MOST_WORK", 10)
    text, report = shown(run_of(duopoly()), seat="left")
    assert "left: no exact optimum, since the exact optimum of lead time 1 and up to 40 units has 41 states" in (
        " ".join(text.split())
    )


def test_a_free_stock_has_no_newsvendor_level() -> None:
    text, report = shown(run_of(duopoly({"holding_cost": 0.0})), seat="left", prices=5)
    assert "no newsvendor level, since" in " ".join(text.split())
    assert "why" in report["newsvendor"][0]


def test_prices_without_ranges_are_named_where_a_range_binds() -> None:
    spec = duopoly({"prices": [1.0, 1.5]})
    text, report = shown(run_of(spec), prices=5)
    assert report["nash"]["price"] == prices_in_range(spec).tolist() == [1.5, 1.5]
    assert report["nash"]["without_ranges"] == nash_prices(Logit.of(spec)).tolist()
    assert (
        "without ranges" in text and "A price range binds" in text and f"{nash_prices(Logit.of(spec))[0]:.4f}" in text
    )
    text, report = shown(run_of(duopoly()), prices=5)
    assert report["nash"]["without_ranges"] == report["nash"]["price"] and "without ranges" not in text


def test_theory_is_of_the_market_as_estimated() -> None:
    draws = [{"price_sensitivity": a, "quality": [0.1, 0.2]} for a in (1.5, 3.0)]
    one = duopoly({"order_cost": 0.0}, draws=draws, uncertainty="on")
    assert shown(run_of(one), prices=5) == shown(run_of(duopoly({"order_cost": 0.0})), prices=5)


def test_a_price_outside_the_file_is_marked() -> None:
    text, _ = shown(run_of(duopoly({"prices_on_file": [1.0, 1.5]})), prices=5)
    assert (
        f"{prices_of(duopoly())[0]:.4f} †" in text
        and "† outside the prices on file (left 1 to 1.5, right 1 to 1.5)" in " ".join(text.split())
    )
    assert "†" not in shown(run_of(duopoly({"prices_on_file": [1.0, 9.0]})), prices=5)[0]


def test_the_command_writes_what_it_prints_and_nothing_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "theory.json"
    given = ["--set", "market.sellers.shop.lead_time=0", "--prices", "5", "--json", str(file)]
    assert main(["theory", str(CONFIGS / "monopoly.yaml"), *given]) == 0
    assert "The exact optimum: profit a day" in capsys.readouterr().out
    assert json.loads(file.read_text())["exact"]["shop"]["prices"] == 5
    with pytest.raises(UserError, match="exists already and is not written over"):
        theory(CONFIGS / "monopoly.yaml", json=file)


def test_theory_needs_no_torch() -> None:
    code = "import sys, policies.studies.theory.view; print(*{'torch', 'tianshou', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_bound_of_long_episodes_is_averaged_over_as_many_periods_as_that_of_short_ones() -> None:
    """Without shocks every period's bound is the same, so fewer episodes of more periods say the same within their widths."""
    found = [_upper_bound(read_config(CONFIGS / "duopoly.yaml", [f"market.horizon={n}"]), 0) for n in (100, 50_000)]
    assert [one["episodes"] for one in found] == [EPISODES, MOST_PERIODS // 50_000]
    apart = abs(found[0]["profit"] - found[1]["profit"])
    assert apart < 2 * (found[0]["half_width"] + found[1]["half_width"])
