"""`bazaar train`: build the sellers, play and learn, evaluate as it goes, keep the best, judge at the end.

Each learner is chosen by its profit against the configuration's first line-up of fixed competitors, on customers
that neither training nor the final table uses: in self-play the rivals change, so profit among learners says little.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from market.decisions import Decisions
from market.errors import Refusal
from market.layout import Record
from market.metrics import episode_profit, summary
from market.render import draw_episode
from market.spec import MarketSpec
from policies.bar import TrainingBar
from policies.checkpoint import SavedSeller, save_seller
from policies.config import RunConfig, load_run
from policies.fixed import parse_rules
from policies.judge import Comparison, Judge, judge_all, terminal
from policies.learners import Learner
from policies.players import learner_name, make_learner, refuse_unknown_learners
from policies.runs import describe, new_folder, saved_sellers, write_json
from policies.seeds import row_seed
from policies.selfplay import SelfPlay
from policies.seller import Seller
from policies.simulate import play
from policies.table import comparison_rows
from policies.tracking import Tracker
from policies.trained import TrainedSeller


def default_player(spec: MarketSpec) -> str:
    """Who sits in a seat that the configuration does not name."""
    return "nash+base_stock" if spec.stocked else "nash"


@dataclass(frozen=True)
class TrainOrder:
    """What `bazaar train` was asked."""

    config: Path
    budget: int | None = None
    seed: int = 0
    device: str = "auto"
    changes: tuple[str, ...] = ()
    name: str | None = None
    runs: Path = Path("runs")


def pick_device(wanted: str) -> str:
    """``cuda`` where there is one and it is wanted, else ``cpu``; on the CPU torch is kept to one thread.

    Two threads beside one busy process made an update of these small networks 15 times slower.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise Refusal("--device cuda: torch finds no CUDA device here; use --device auto or cpu")
    device = "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"
    if device == "cpu":
        torch.set_num_threads(1)
    return device


def device_name(device: str) -> str:
    """The device in words."""
    return f"cuda ({torch.cuda.get_device_name()})" if device == "cuda" else "cpu (1 torch thread)"


class Training:
    """One run: a market, its players, and what is kept of them.

    Args:
        config: the resolved configuration.
        seed: of networks, exploration and customers.
        device: ``cpu`` or ``cuda``.
    """

    def __init__(self, config: RunConfig, seed: int, device: str) -> None:
        self.config, self.spec, self.seed = config, config.market, seed
        self.judge = Judge(config, seed)
        refuse_unknown_learners(config)
        self.encodings: dict[int, str] = {}
        self.learner_names: dict[int, str] = {}
        players = [self._player(seat, device) for seat in range(len(self.spec.sellers))]
        if not self.learner_names:
            raise Refusal("seats: no seat has a learner, so there is nothing to train (use bazaar evaluate)")
        settings = config.training
        self.play = SelfPlay(self.spec, players, settings.markets, settings.budget, seed)
        self.best = {seat: -np.inf for seat in self.learner_names}
        self.references: list[Seller] | None = None

    def _player(self, seat: int, device: str) -> tuple[Learner, Decisions] | Seller:
        name = self.spec.names[seat]
        player = self.config.seats.get(name, default_player(self.spec))
        chosen = learner_name(player)
        if chosen is None:
            return self.judge.fixed(parse_rules(player, f"seats.{name}", self.spec), seat)
        learner, decisions = make_learner(self.config, seat, player, device, self.seed * 1_000 + seat)
        self.encodings[seat], self.learner_names[seat] = decisions.encoding, chosen
        return learner, decisions

    def greedy(self, seat: int) -> TrainedSeller:
        """The seat's learner as it would play now, without exploration."""
        return TrainedSeller(self.play.learners[seat].network, Decisions(self.spec, seat, self.encodings[seat]))

    def sellers(self) -> list[Seller]:
        """Every seat's player as it would play now."""
        return [
            self.greedy(seat) if seat in self.learner_names else player.seller  # type: ignore[union-attr]
            for seat, player in enumerate(self.play.seats)
        ]

    def rehearse(self) -> Record:
        """All sellers against each other without exploration, on the customers kept for choosing: (T, M, N)."""
        episodes = self.config.training.evaluation_episodes
        return play(self.spec, self.sellers(), markets=episodes, seed=row_seed(self.seed, "select"))

    def scores(self) -> dict[int, float]:
        """Each learner's mean profit per period against the first line-up of fixed competitors."""
        if self.references is None:
            line_up = self.judge.line_ups(None)[0]
            self.references = [self.judge.fixed(line_up, seat) for seat in range(len(self.spec.sellers))]
        settings, scores = self.config.evaluation, {}
        for seat in self.learner_names:
            seats = [self.greedy(seat) if k == seat else rival for k, rival in enumerate(self.references)]
            episodes = self.config.training.evaluation_episodes
            ledger = play(self.spec, seats, markets=episodes, seed=row_seed(self.seed, "select"))
            profit = episode_profit(ledger, self.spec, settings.warm_up, settings.salvage)[:, seat]
            scores[seat] = float(profit.mean()) / (self.spec.horizon - settings.warm_up)
        return scores

    def keep(self, folder: Path, scores: dict[int, float]) -> None:
        """Save every learner's latest policy, and its best when ``scores`` say that it is."""
        for seat, score in scores.items():
            self._save(folder, seat, score, "latest")
            if score > self.best[seat]:
                self.best[seat] = score
                self._save(folder, seat, score, "best")

    def _save(self, folder: Path, seat: int, score: float, which: str) -> None:
        learner, name = self.play.learners[seat], self.spec.names[seat]
        save_seller(
            SavedSeller(
                path=folder / "checkpoints" / f"{name}.{which}.pt",
                seller=name,
                seat=seat,
                encoding=self.encodings[seat],
                learner=self.learner_names[seat],
                trained=self.play.done,
                score=score,
                architecture=learner.architecture,
                weights=learner.network.state_dict(),
                market=self.spec,
            )
        )


def train(order: TrainOrder, console: Console | None = None) -> Path:
    """Carry out `bazaar train`; returns the run's folder, which Ctrl-C leaves readable."""
    console = console or terminal()
    changes = order.changes + ((f"training.budget={order.budget}",) if order.budget else ())
    config = load_run(order.config, changes)
    device = pick_device(order.device)
    training = Training(config, order.seed, device)
    folder = new_folder(order.runs, order.name, order.config, order.seed)
    facts = {"seed": order.seed, "device": device_name(device), "config": str(order.config)}
    describe(folder, config, facts | {"reward_scale": training.play.batch.reward_scale.tolist()})
    console.print(f"[bold]{config.market.name}[/]: {describe_seats(training)}; networks on {device_name(device)}")
    with Tracker(folder, config.market.names) as tracker:
        tracker.text("config", config.dump())
        try:
            learn(training, folder, tracker, console)
        except KeyboardInterrupt:
            training.keep(folder, training.scores())
            console.print(f"\ninterrupted: what was learned is in {folder} (bazaar evaluate {folder})")
            raise
        comparisons = final_judgement(training, folder, console)
        record_results(training, tracker, comparisons)
    write_json(folder / "evaluation.json", [row for one in comparisons for row in comparison_rows(one)])
    console.print(f"run: {folder}   judge again: bazaar evaluate {folder}   charts: [bold]bazaar board {order.runs}[/]")
    return folder


def describe_seats(training: Training) -> str:
    """Who plays, in one line."""
    named = [training.config.seats.get(name, default_player(training.spec)) for name in training.spec.names]
    players = [training.learner_names.get(seat, str(player)) for seat, player in enumerate(named)]
    return ", ".join(f"{name} = {player}" for name, player in zip(training.spec.names, players, strict=True))


def learn(training: Training, folder: Path, tracker: Tracker, console: Console) -> None:
    """Play and learn for the whole budget, evaluating at even distances, first before anything is learned."""
    settings = training.config.training
    with TrainingBar(console, settings.budget) as bar:
        bar.phase("setting up")
        assess(training, folder, tracker)
        for k in range(1, settings.evaluations + 1):
            bar.phase("learning")
            practise(training, settings.budget * k // settings.evaluations, tracker, bar)
            bar.phase("evaluating")
            assess(training, folder, tracker)


def practise(training: Training, until: int, tracker: Tracker, bar: TrainingBar) -> None:
    """Play periods until ``until`` seller-periods are done; record what the learners last reported."""
    reports: dict[int, dict[str, float]] = {}
    begun, first = time.perf_counter(), training.play.done
    while training.play.done < until:
        reports |= training.play.play_period()
        bar.advance_to(training.play.done)
    for seat, report in reports.items():
        tracker.scalars("training", training.play.done, training.spec.names[seat], report)
    speed = (training.play.done - first) / max(time.perf_counter() - begun, 1e-9)
    tracker.scalars("training", training.play.done, "market", {"seller_periods_per_second": speed})


def assess(training: Training, folder: Path, tracker: Tracker) -> None:
    """Evaluate as the run goes: metrics and pictures of self-play, scores against fixed competitors, checkpoints."""
    spec, step = training.spec, training.play.done
    ledger, settings = training.rehearse(), training.config.evaluation
    counted = ledger[settings.warm_up :]
    figures = summary(ledger, spec, settings.warm_up, settings.salvage)
    for seat, name in enumerate(spec.names):
        tracker.scalars("evaluation", step, name, {metric: float(values[seat]) for metric, values in figures.items()})
        tracker.histogram(step, name, "price", counted["price"][:, :, seat])
        tracker.histogram(step, name, "order", counted["ordered"][:, :, seat])
    tracker.scalars("evaluation", step, "market", {"profit": float(figures["profit"].sum())})
    tracker.figure(step, "episode", draw_episode(spec, {n: ledger[n][:, 0] for n in ledger.dtype.names or ()}))
    scores = training.scores()
    for seat, score in scores.items():
        tracker.scalars("evaluation", step, spec.names[seat], {"profit_against_fixed": score})
    training.keep(folder, scores)


def final_judgement(training: Training, folder: Path, console: Console) -> list[Comparison]:
    """The table of the best policies against fixed competitors on customers never seen."""
    subjects: dict[int, dict[str, Any]] = {
        saved.seat: {f"{name} ({saved.learner})": saved.sit(training.spec)}
        for name, saved in saved_sellers(folder).items()
    }
    with suppress(KeyboardInterrupt):
        return judge_all(training.judge, subjects, None, None, console)
    console.print("the table was interrupted; the run is complete")
    return []


def record_results(training: Training, tracker: Tracker, comparisons: list[Comparison]) -> None:
    """hparams: the run's settings beside the final figures."""
    figures = {f"profit/{one.seat}": r.mean for one in comparisons for r in one.results if r.subject}
    options: dict[str, Any] = {"market": training.spec.name, "seed": training.seed}
    options |= {f"seat/{training.spec.names[s]}": name for s, name in training.learner_names.items()}
    options |= training.config.training.model_dump()
    tracker.hparams(options, figures)
