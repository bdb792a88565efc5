"""Tables and pictures: what is in them, and that a blank one would be noticed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from market.envs.parallel import parallel_env
from market.simulation.render import ansi, draw_episode, rgb_array
from market.spec.loading import read_yaml
from market.spec.models import MarketSpec
from market.state import LEDGER, LEDGER_UNITS, Floats

CONFIGS = Path(__file__).parents[2] / "configs"
DUOPOLY, CALVANO = (MarketSpec.load(CONFIGS / f"{name}.yaml") for name in ("duopoly", "calvano"))


def history_of(spec: MarketSpec, periods: int, seed: int = 0) -> dict[str, Floats]:
    rng = np.random.default_rng(seed)
    return {field: rng.uniform(0, 5, (periods, len(spec.sellers))) for field in LEDGER_UNITS}


def one_period(spec: MarketSpec) -> np.ndarray:
    ledger = np.zeros(len(spec.sellers), LEDGER)
    ledger["price"], ledger["sold"], ledger["on_hand"] = 1.855, 12, 1234
    ledger["revenue"], ledger["profit"], ledger["market_size"] = 22.26, -3.5, 40
    return ledger


def test_table() -> None:
    lines = ansi(DUOPOLY, one_period(DUOPOLY), 7).splitlines()
    assert lines[0] == "duopoly: day 7 of 100"
    assert " ".join(lines[1].split()) == "seller price on hand ordered sold lost left on order revenue profit"
    assert lines[2].split()[0] == "money/unit"
    assert lines[4].split() == ["left", "1.85", "1,234", "0", "12", "0", "0", "0", "22.26", "-3.50"]
    assert lines[5].split()[0] == "right"
    assert lines[-1] == "the market: 24 units sold, 40 if every customer bought"
    assert len({len(line) for line in lines[1:7]}) == 1


def test_table_of_a_market_without_stock() -> None:
    text = ansi(CALVANO, one_period(CALVANO), 1)
    assert "on hand" not in text
    assert "12.000" in text


def test_table_before_the_first_period() -> None:
    assert ansi(DUOPOLY, one_period(DUOPOLY), 0) == "duopoly: day 0 of 100, nothing sold yet"


def titles(figure: Figure) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes]


def test_figure_of_an_episode() -> None:
    figure = draw_episode(DUOPOLY, history_of(DUOPOLY, 100))
    assert titles(figure) == ["Price", "Stock left", "Lost sales", "Cumulative profit"]
    units = ["money per unit", "units, end of day", "units per day", "money"]
    assert [axes.get_ylabel() for axes in figure.axes] == units
    assert [axes.get_xlabel() for axes in figure.axes[2:]] == ["day", "day"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["left", "right"]


def test_figure_shows_the_numbers() -> None:
    history = history_of(DUOPOLY, 50)
    price, _, _, profit = draw_episode(DUOPOLY, history).axes
    assert np.array_equal(price.patches[1].get_data().values, history["price"][:, 1])
    total = profit.lines[0].get_ydata()
    assert total[0] == 0
    assert np.allclose(total[1:], np.cumsum(history["profit"][:, 0]))


def test_stacked_records_are_a_history_too() -> None:
    history = history_of(DUOPOLY, 12)
    records = np.zeros((12, 2), LEDGER)
    for field, values in history.items():
        records[field] = values
    assert np.array_equal(rgb_array(DUOPOLY, records), rgb_array(DUOPOLY, history))


def test_figure_without_stock() -> None:
    assert titles(draw_episode(CALVANO, history_of(CALVANO, 100))) == [
        "Price",
        "Units sold",
        "Profit",
        "Cumulative profit",
    ]


def test_sellers_are_told_apart() -> None:
    data = read_yaml(CONFIGS / "duopoly.yaml")["market"]
    left = data["sellers"][0]
    data["sellers"] = [left | {"name": f"brand_{k}", "reward_scale": 1.0} for k in range(10)]
    spec = MarketSpec.parse(data)
    lines = draw_episode(spec, history_of(spec, 20)).axes[3].lines
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 10


def test_picture_is_not_blank_and_depends_on_the_data() -> None:
    empty = rgb_array(DUOPOLY, history_of(DUOPOLY, 0))
    one, other = (rgb_array(DUOPOLY, history_of(DUOPOLY, 60, seed)) for seed in (0, 1))
    assert one.shape == empty.shape == (700, 1100, 3)
    assert one.dtype == np.uint8
    # of the pixels, those in the sellers' own two colours
    blue, vermilion = np.array([0x00, 0x72, 0xB2]), np.array([0xD5, 0x5E, 0x00])
    for colour in (blue, vermilion):
        assert (one == colour).all(axis=2).sum() > 10 * (empty == colour).all(axis=2).sum() > 0
    assert not np.array_equal(one, other)


def test_no_lost_sales_draw_nothing() -> None:
    history = history_of(DUOPOLY, 30) | {"lost": np.zeros((30, 2))}
    rgb_array(DUOPOLY, history)
    assert draw_episode(DUOPOLY, history).axes[2].get_ylim() == (0, 1)


def test_environment_renders() -> None:
    environment = parallel_env(DUOPOLY, render_mode="rgb_array")
    environment.reset(seed=0)
    begun = environment.render()
    still = {agent: np.zeros(2, np.float32) for agent in environment.agents}
    profits = [environment.step(still)[4]["seller_1"]["profit"] for _ in range(20)]
    assert isinstance(begun, np.ndarray)
    assert not np.array_equal(begun, environment.render())
    history = environment.history()
    assert set(history) == set(LEDGER_UNITS)
    assert history["profit"][:, 1].tolist() == profits
    environment.reset()
    assert environment.history()["profit"].shape == (0, 2)
    assert np.array_equal(begun, environment.render())


def test_environment_prints() -> None:
    environment = parallel_env(DUOPOLY, render_mode="ansi")
    assert "nothing sold yet" in environment.render()
    environment.reset(seed=0)
    info = environment.step({agent: np.zeros(2, np.float32) for agent in environment.agents})[4]
    assert f"{info['seller_0']['revenue']:.2f}" in environment.render()
    assert environment.history()["profit"].shape == (0, 2)


def test_rendering_without_a_mode_warns() -> None:
    with pytest.warns(UserWarning, match="render_mode='ansi' or 'rgb_array'"):
        assert parallel_env(DUOPOLY).render() is None


def test_matplotlib_is_imported_only_to_draw() -> None:
    code = """
import sys
from market.envs.parallel import parallel_env
import market.simulation.render, market.envs.vector, market.metrics.summary
environment = parallel_env(sys.argv[1], render_mode="ansi")
environment.reset()
environment.render()
heavy = {"matplotlib", "torch", "tianshou", "supersuit"} & set(sys.modules)
sys.exit(f"imported {heavy}" if heavy else 0)
"""
    here = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, str(CONFIGS / "duopoly.yaml")],
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
