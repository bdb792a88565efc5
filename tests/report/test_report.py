"""The report: what it says agrees with the run, it needs no network, and a real browser draws it."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from market.errors import UserError
from market.spec.models import MarketSpec
from policies.config.orders import ReportOrder
from policies.report.analysis import tournaments
from policies.report.charts import spread_chart
from policies.report.data import Spread, evaluated_row, read_run, replay
from policies.report.run import compose, write_report
from policies.report.sections import Headline, bounds, half_width, to_best
from policies.storage.run_folder import ANALYSIS
from policies.views.format import column_form, number
from policies.views.page import Page
from policies.views.table import Cell
from tests.helpers.browser import browser, visit
from tests.helpers.small_run import small_run

EPISODES = 64  # as many as the small run's evaluation plays
ROOT = Path(__file__).parents[2]


class Text(HTMLParser):
    """The words of a page, without scripts and styles; and what it would fetch."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.fetched: list[str] = []
        self._skip = False
        self.feed(html)
        self.whole = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._skip = tag in ("script", "style")
        sources = [value or "" for name, value in attrs if name in ("src", "href", "data", "poster", "srcset")]
        self.fetched += [source for source in sources if not source.startswith(("#", "data:"))]

    def handle_endtag(self, tag: str) -> None:
        self._skip = False

    def handle_data(self, data: str) -> None:
        if not self._skip:
            self.words.append(data.strip())


def quiet() -> Console:
    return Console(file=StringIO(), width=130)


def written(run: Path, out: Path, **options: Any) -> str:
    return write_report(run, out=out, episodes=EPISODES, **options).read_text(encoding="utf-8")


def a_copy(folder: Path, name: str = "run") -> Path:
    """A copy of the shared run that may be changed."""
    return Path(
        shutil.copytree(small_run(), folder / "runs" / name, ignore=shutil.ignore_patterns("report*", "events*"))
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with everything in it: tournament, exploitability, impulse responses."""
    run = a_copy(tmp_path_factory.mktemp("report"))
    add_tournament(run)
    add_analysis(run)
    out = run.parent / "page.html"
    written(run, out)
    return out


@pytest.fixture(scope="module")
def text(page: Path) -> str:
    return Text(page.read_text(encoding="utf-8")).whole


def add_tournament(run: Path) -> None:
    """As ``policies.studies.tournament.run.tournament_summary`` documents it."""
    labels = [f"{run.name}/left (dqn)", f"{run.name}/right (ddpg)", "nash+base_stock"]
    kinds = [{"kind": "learned", "run": f"elsewhere/{run.name}"}] * 2 + [{"kind": "rules"}]
    mean = [[5.0, 5.5, 5.25], [4.125, 6.0, 5.1], [5.5, 6.1, None]]
    matrix = {"policies": labels, "rivals": labels, "mean": mean, "half_width": [[0.05] * 3] * 3}
    place = {"profit": 5.3, "half_width": 0.04, "rank": 1.5, "rating": 1500.0}
    facts = {
        "period": "day",
        "episodes": 1000,
        "cells": 9,
        "sampled": False,
        "seats": ["left", "right"],
        "policies": [{"label": label, **kind} for label, kind in zip(labels, kinds, strict=True)],
        "payoffs": {"left": matrix, "right": matrix},
        "ranking": [
            {"policy": label, "rank": 1.0 + k, "rank_half_width": 0.1, "rating": 1600.0 - k, "rating_half_width": None,
             "seats": {"left": place}}
            for k, label in enumerate(labels)
        ],
        "cross_play": [
            {"policy": labels[0], "seat": "left", "others": "fixed competitors", "with_partners": 5.5,
             "with_partners_half_width": 0.02, "with_others": 4.0, "with_others_half_width": 0.03, "change": -1.5,
             "change_half_width": 0.025, "only_with_partners": True}
        ],
        "equilibria": {
            "kind": "nash", "why_none": None, "complete": True, "degenerate": False,
            "found": [{"payoffs": {"left": 5.321, "right": 5.314}, "regret": 0.0, "regret_high": 0.0,
                       "support_share": 0.97, "strategies": {"left": {labels[2]: 1.0}, "right": {labels[2]: 0.75, labels[1]: 0.25}}}],
        },
    }  # fmt: skip
    folder = run.parent / "cup"
    folder.mkdir()
    (folder / "results.json").write_text(json.dumps(facts))


def add_analysis(run: Path) -> None:
    """As ``bazaar exploit`` and ``bazaar deviate`` write it."""
    folder = run / ANALYSIS
    folder.mkdir()
    for seat, regret in (("left", 0.7), ("right", 0.4)):
        facts = {"seller": seat, "response": "trained response (dqn)", "exact": False, "profit": 5.0, "regret": regret}
        facts |= {"difference": regret, "difference_half_width": 0.02}
        (folder / f"exploit-{seat}-dqn.json").write_text(json.dumps(facts))
    zeros = [[0.0, 0.0], [0.0, 0.0]]
    mean = {"relative": [[-0.15, 0.0], [0.0, -0.07]], "profit": [[2.5, -1.0], [-0.5, 0.1]]}
    response = {"sellers": ["left", "right"], "seller": "left", "to": "best_response", "at": 10, "gain": [2.5, 2.0]}
    response |= {"intervals_over": "128 episodes of one training seed", "mean": mean, "gain_half_width": [0.2, 0.3]}
    response |= {"half_width": {"relative": zeros, "profit": zeros}}
    (folder / "deviate-left-best_response.json").write_text(json.dumps(response))
    shutil.copy(run / "episode.png", folder / "deviate-left-best_response.png")


# ------------------------------------------------------------------------------------------------ what it says


def test_it_says_what_the_run_found(text: str) -> None:
    run = read_run(small_run())
    for player in run.learners:
        row = evaluated_row(run, player)
        assert row is not None
        assert f"{player.label} earns {number(row['profit'], column_form([row['profit']]))}" in text
    for row in run.rows:
        assert row["policy"] in text.replace(" +", "+").replace(" (level", "(level")
    for heading in ("How good are they?", "How sure is the profit?", "What happens when they meet?", "The run"):
        assert heading in text
    assert "seller-periods" in text and str(run.about["versions"]["torch"]) in text
    assert re.search(r"says? what left does in [\d.]+ % of days", text), "the tree's fidelity, whatever it is"
    assert "R² of the price" in text and "order up to" in text


def test_the_episodes_played_again_are_those_of_the_evaluation() -> None:
    """Same seed, same customers: the mean of the distribution shown is the table's profit."""
    run = read_run(small_run())
    for spread in replay(run, EPISODES, run.seed, lambda text: None):
        row = evaluated_row(run, spread.player)
        assert row is not None and row["episodes"] == EPISODES and len(spread.profits) == 2
        assert spread.profits[spread.player.label].mean() == pytest.approx(row["profit"], rel=1e-9)
        best = list(spread.profits)[1]
        theirs = next(one for one in run.rows if one["seat"] == row["seat"] and one["policy"] == best)
        assert spread.profits[best].mean() == pytest.approx(theirs["profit"], rel=1e-9)
        assert best == row["best_fixed"]


def test_tournament_exploitability_and_impulse_responses_are_shown(text: str) -> None:
    assert "Tournament cup" in text and "3 policies, 9 line-ups, 1,000 episodes each." in text
    assert "good with partners only" in text and "−1.500 ± 0.025" in text
    assert "right: nash +base_stock 75 %, run/right (ddpg) 25 %" in text.replace("run/right  (", "run/right (")
    assert "NashConv" in text and "at least 1.1 a day" in text
    assert "left plays best_response for one day: what follows" in text
    assert "−15.00 %" in text and "+2 ± 0.3" in text
    assert "Not measured yet" not in text


def test_a_run_that_was_interrupted_still_has_a_report(tmp_path: Path) -> None:
    run = a_copy(tmp_path)
    (run / "evaluation.json").unlink()
    lines = (run / "metrics.csv").read_text().splitlines()
    (run / "metrics.csv").write_text("\n".join(lines[: len(lines) // 2]) + "\n3000,evalu")  # cut off in a line
    found = Text(written(run, out=tmp_path / "page.html")).whole
    assert "There is no final table (evaluation.json)" in found and "bazaar evaluate" in found
    assert "left (dqn) was not judged before the run ended." in found
    assert "In the episodes played for this report it earns" in found
    assert "Profit against the first line-up of fixed competitors" in page_source(tmp_path / "page.html")
    assert "evaluation of 0" not in found


def page_source(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def test_a_run_without_curves_and_facts_still_has_a_report(tmp_path: Path) -> None:
    run = a_copy(tmp_path)
    for name in ("metrics.csv", "run.json"):
        (run / name).write_text("{")
    found = Text(written(run, out=tmp_path / "page.html")).whole
    assert "There are no learning curves" in found and "run.json is missing or unreadable" in found


def test_the_same_run_gives_the_same_page(page: Path) -> None:
    again = compose(ReportOrder(page.parent / "run", episodes=EPISODES), lambda text: None).text()
    assert again == page_source(page)


# ------------------------------------------------------------------------------------------------ files


def test_the_page_is_whole_in_itself(page: Path) -> None:
    html = page_source(page)
    found = Text(html)
    assert found.fetched == []
    style = "".join(re.findall(r"<style>(.*?)</style>", html, re.DOTALL))
    assert "url(" not in style and "@import" not in style
    assert html.count("plotly.js v") == 1 or html.count("Plotly=") <= 2
    assert len(html) < 8_000_000


def test_nothing_that_exists_is_written_over(tmp_path: Path) -> None:
    run = a_copy(tmp_path)
    made = [write_report(run, episodes=8) for _ in range(2)]
    assert [path.name for path in made] == ["report.html", "report-2.html"]
    before = made[0].read_bytes()
    with pytest.raises(UserError, match=r"report\.html: exists already"):
        write_report(run, out=made[0], episodes=8)
    assert made[0].read_bytes() == before and not list(run.glob(".*part"))
    # What is not there is said, with the command that makes it.
    for command in ("bazaar tournament", "bazaar exploit", "bazaar deviate"):
        assert command in Text(page_source(made[0])).whole


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a run"):
        write_report(tmp_path)
    with pytest.raises(UserError, match="is not a run"):
        write_report(tmp_path / "nowhere")
    run = a_copy(tmp_path)
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(UserError, match="holds no saved sellers"):
        write_report(run, out=tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_a_file_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        write_report(small_run(), out=tmp_path / "no" / "page.html")


def test_ctrl_c_leaves_no_half_of_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(self: Page) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(Page, "text", stop)
    with pytest.raises(KeyboardInterrupt):
        write_report(small_run(), out=tmp_path / "page.html", episodes=8)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "[1]", '{"policies": 3}', '{"policies": [1], "payoffs": {}, "ranking": []}'])
def test_foreign_results_are_left_alone(tmp_path: Path, content: str) -> None:
    run = a_copy(tmp_path)
    (run.parent / "cup").mkdir()
    (run.parent / "cup" / "results.json").write_text(content)
    assert list(tournaments(run)) == []


def test_a_tournament_of_other_runs_is_not_this_runs(tmp_path: Path) -> None:
    run = a_copy(tmp_path)
    add_tournament(run)
    assert [one.folder.name for one in tournaments(run)] == ["cup"]
    assert list(tournaments(a_copy(tmp_path, "another"))) == []


# ------------------------------------------------------------------------------------------------ words and numbers

SPEC = MarketSpec.load(ROOT / "configs" / "duopoly.yaml")
BEST = {"policy": "nash+base_stock", "profit": 5.0}


@pytest.mark.parametrize(
    ("low", "high", "verdict", "words"),
    [
        (0.1, 0.3, 1, "4.00 % more than the best fixed competitor, nash+base_stock (5.000)"),
        (-0.3, -0.1, -1, "4.00 % less than the best fixed competitor"),
        (-0.1, 0.3, 0, "no different, as far as can be told, from the best fixed competitor"),
    ],
)
def test_the_headline_follows_the_interval(low: float, high: float, verdict: int, words: str) -> None:
    gap = (low + high) / 2 if verdict == 0 else 0.2 * verdict
    row = {"policy": "left (dqn)", "profit": 5.2, "profit_half_width": 0.04, "difference": gap, "line_up": "nash"}
    said = Headline(SPEC, "left (dqn)", row | {"difference_low": low, "difference_high": high}, BEST)
    assert said.verdict == verdict and words in said.sentence
    assert said.sentence.startswith("left (dqn) earns 5.200 ± 0.040 a day, against nash in the other seat: ")


def test_rows_of_either_form_have_intervals() -> None:
    """A half-width, or two ends that need not lie evenly about the value."""
    assert bounds({"profit": 5.0, "profit_half_width": 0.5}, "profit") == (4.5, 5.5)
    assert bounds({"profit": 5.0, "profit_low": 4.0, "profit_high": 5.5, "profit_half_width": 0.75}, "profit") == (
        4.0,
        5.5,
    )
    assert (
        bounds({"profit": 5.0}, "profit") is None
        and bounds({"profit": None, "profit_half_width": None}, "profit") is None
    )
    assert half_width({"profit": 5.0, "profit_low": 4.0, "profit_high": 5.5}, "profit") == 0.75


def test_differences_are_shares_of_the_best_profit() -> None:
    row = {"policy": "x", "profit": 4.5, "difference": -0.5, "difference_half_width": 0.05}
    assert shown(to_best(row, BEST)) == "−10.00 % ± 1.00 %"
    assert shown(to_best(row, {"policy": "y", "profit": 0.0})) == "−0.5 ± 0.05" and to_best(row, None) == "–"


def shown(cell: Cell | str) -> str:
    assert isinstance(cell, Cell) and cell.form is not None
    return number(cell.value, cell.form, cell.half)


def test_profits_that_never_vary_are_not_drawn() -> None:
    run = read_run(small_run())
    player = run.learners[0]
    assert spread_chart(run.spec, [Spread(player, "nash", {"left (dqn)": np.full(9, 0.1 + 0.2)})]) is None
    drawn = spread_chart(run.spec, [Spread(player, "nash", {"left (dqn)": np.linspace(0, 1, 9)})])
    assert drawn is not None and len(drawn.data) == 1


# ------------------------------------------------------------------------------------------------ in a browser

needs_browser = pytest.mark.skipif(browser() is None, reason="no Chromium here: Debian's package chromium has it")


@needs_browser
def test_a_browser_draws_every_chart_without_network_or_errors(page: Path) -> None:
    seen = visit(page)
    assert seen.console == [] and seen.requests == []
    # Profits, an episode, two policy maps, curves, and two payoff matrices; importances where a policy reacts.
    assert seen.charts == page_source(page).count("Plotly.newPlot(") >= 7
    shown = Text(seen.dom).whole
    assert "day" in shown and not re.search(r"\b(NaN|nan|undefined|None)\b", shown)


@needs_browser
def test_the_browser_check_catches_a_broken_script(page: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.html"
    broken.write_text(page_source(page).replace("Plotly.newPlot(", "Plotly.noPlot(", 1), encoding="utf-8")
    seen = visit(broken)
    assert any("noPlot is not a function" in line for line in seen.console)
    assert seen.charts == page_source(broken).count("Plotly.newPlot(")
