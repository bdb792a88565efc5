"""The report: what it says agrees with the run, it needs no network, and a real browser draws it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from market.errors import UserError
from policies.config.orders import ReportOrder
from policies.report.data import evaluated_row, read_run
from policies.report.run import compose, write_report
from policies.views.format import column_form, number
from policies.views.page import Page
from tests.helpers.browser import browser, visit
from tests.helpers.reported import EPISODES, Text, a_copy, add_analysis, add_tournament, page_source, written
from tests.helpers.small_run import small_run


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


# ---------------------------------------------------------------------------------------------- what it says


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
    assert re.search(r"what left does in [\d.]+ % of days", text), "the tree's fidelity, whatever it is"
    assert "R² of the price" in text


@pytest.mark.parametrize(("least", "said"), [(0.0, "In words"), (1.01, "Not in words")])
def test_words_stand_only_where_they_hold(
    least: float, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("policies.report.policies.HOLDS", least)
    text = compose(ReportOrder(small_run(), out=tmp_path / "page.html", episodes=4), lambda _: None).text()
    assert text.count(f"<p>{said}: ") == 2 and text.count('<ol class="rules">') == (2 if least == 0 else 0)
    assert "what left does in" in " ".join(text.split())


def test_tournament_exploitability_and_impulse_responses_are_shown(text: str) -> None:
    assert "Tournament cup" in text and "3 policies, 9 line-ups, 1,000 episodes each." in text
    assert "does well only with its training partners: -27.3 % ± 0.5 % with fixed competitors" in text
    assert "right plays nash+base_stock 75 %, run/right (ddpg) 25 %." in text
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
    assert "left (dqn) was not evaluated before the run ended." in found
    assert "In the episodes played for this report it earns" in found
    assert "Profit against fixed competitors" in page_source(tmp_path / "page.html")
    assert "evaluation of 0" not in found


def test_a_run_without_curves_and_facts_still_has_a_report(tmp_path: Path) -> None:
    run = a_copy(tmp_path)
    for name in ("metrics.csv", "run.json"):
        (run / name).write_text("{")
    found = Text(written(run, out=tmp_path / "page.html")).whole
    assert "There are no learning curves" in found and "run.json is missing or unreadable" in found


def test_the_same_run_gives_the_same_page(page: Path) -> None:
    again = compose(ReportOrder(page.parent / "run", episodes=EPISODES), lambda text: None).text()
    assert again == page_source(page)


# ---------------------------------------------------------------------------------------------- files


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


# ---------------------------------------------------------------------------------------------- in a browser


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
