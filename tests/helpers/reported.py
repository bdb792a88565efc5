"""A copy of the small run with what other commands leave beside it, and the words of its report."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from policies.report.run import write_report
from policies.storage.run_folder import ANALYSIS
from tests.helpers.small_run import small_run

EPISODES = 64  # as many as the small run's evaluation plays


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


def written(run: Path, out: Path, **options: Any) -> str:
    return write_report(run, out=out, episodes=EPISODES, **options).read_text(encoding="utf-8")


def a_copy(folder: Path, name: str = "run") -> Path:
    """A copy of the shared run that may be changed."""
    return Path(
        shutil.copytree(small_run(), folder / "runs" / name, ignore=shutil.ignore_patterns("report*", "events*"))
    )


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
             "change_half_width": 0.025, "candidates_change": -0.5, "candidates_change_half_width": 0.03,
             "less_with_others": True, "only_with_partners": True}
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
    mean = {
        "relative": [[-0.15, 0.0], [0.0, -0.07]],
        "profit": [[2.5, -1.0], [-0.5, 0.1]],
        "price": zeros,
        "sold": zeros,
    }
    response = {
        "gamma": 1.0,
        "sellers": ["left", "right"],
        "seller": "left",
        "to": "best_response",
        "at": 10,
        "gain": [2.5, 2.0],
    }
    response |= {"intervals_over": "128 episodes of one training seed", "mean": mean, "gain_half_width": [0.2, 0.3]}
    response |= {"half_width": dict.fromkeys(mean, zeros)}
    (folder / "deviate-left-best_response.json").write_text(json.dumps(response))
    shutil.copy(run / "episode.png", folder / "deviate-left-best_response.png")


def page_source(page: Path) -> str:
    return page.read_text(encoding="utf-8")
