"""Learning as the tests and the committed table measure it: train, keep the best by evaluation, judge afresh."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch

from policies.common.torch_tools import one_torch_thread
from policies.config.run import RunConfig, read_config
from policies.evaluation.compare import Result, best_fixed, compare
from policies.evaluation.statistics import half_width
from policies.sellers.network_seller import NetworkSeller
from policies.sellers.protocol import Seller
from policies.sellers.rollout import play
from policies.training.run import TrainingRun

CONFIGS = Path(__file__).parents[2] / "configs"
EVALUATIONS = 20
FRESH = 2**40  # row seeds that no stream of a run uses


def train_best(config: RunConfig, seed: int) -> dict[int, NetworkSeller]:
    """Train on the CPU for the configuration's budget; every learner at its best periodic evaluation, by seat."""
    one_torch_thread()
    training = TrainingRun(config, seed, "cpu")
    best: dict[int, tuple[float, dict[str, torch.Tensor]]] = {}
    budget = config.training.budget
    for k in range(1, EVALUATIONS + 1):
        while training.play.done < budget * k // EVALUATIONS:
            training.play.play_period()
        for seat, score in training.scores().items():
            if seat not in best or score > best[seat][0]:
                best[seat] = score, copy.deepcopy(training.play.learners[seat].network.state_dict())
    for seat, (_, weights) in best.items():
        training.play.learners[seat].network.load_state_dict(weights)
    return {seat: training.greedy(seat) for seat in best}


def monopoly(learner: str, budget: int, **grid: int) -> RunConfig:
    """The monopoly with one learner; ``grid`` replaces its prices x levels."""
    changes = [f"seats.shop={learner}", f"training.budget={budget}"]
    return read_config(
        CONFIGS / "monopoly.yaml", changes + [f"market.sellers.shop.grid.{k}={v}" for k, v in grid.items()]
    )


def average_profit(config: RunConfig, seller: Seller) -> tuple[float, float]:
    """Mean profit per period in one long episode a row, after a warm-up, both whole weeks, and its standard error."""
    spec = config.market.model_copy(update={"horizon": 1064})
    ledger = play(spec, [seller], markets=512, seed=FRESH, fields=("profit",))
    means = ledger["profit"][56:, :, 0].mean(axis=0)
    return float(means.mean()), float(means.std(ddof=1) / np.sqrt(len(means)))


def judged(config: RunConfig, sellers: dict[int, NetworkSeller], seed: int) -> dict[int, list[Result]]:
    """By seat: the learner first, then every fixed competitor, against the configuration's first line-up.

    The customers are those of ``bazaar evaluate --seed``.
    """
    line_ups = TrainingRun(config, seed, "cpu").line_ups
    line_up, found = line_ups.chosen(None)[0], {}
    for seat, seller in sellers.items():
        rivals = [line_ups.fixed(line_up, k) for k in range(len(config.market.sellers))]
        candidates = {"learner": seller} | {
            rules.label: line_ups.against(rules, seat, line_up) for rules in line_ups.competitors()
        }
        found[seat] = compare(config.market, seat, candidates, ["learner"], rivals, config.evaluation, seed)
    return found


def gaps_to_best_fixed(
    config: RunConfig, sellers: dict[int, NetworkSeller], seed: int
) -> dict[str, tuple[float, float]]:
    """Each seller's paired difference to the best fixed competitor in its seat, and the 95 % half-width, as shares."""
    gaps = {}
    for seat, results in judged(config, sellers, seed).items():
        best = best_fixed(results)
        assert best is not None
        gap = (results[0].profit - best.profit) / abs(best.mean)
        gaps[config.market.names[seat]] = float(gap.mean()), half_width(gap)
    return gaps
