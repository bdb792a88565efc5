"""Averages of weights, by hand, and that a league evaluates and saves them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from policies.learners.optim import WeightAverage
from policies.networks.heads import Actor
from tests.helpers.leagues import HORIZON, league


def network(mode, seat: int) -> Actor:
    return mode.players[seat][0].network


def fill(one: Actor, value: float) -> None:
    with torch.no_grad():
        for parameter in one.parameters():
            parameter.fill_(value)


def test_an_average_by_hand() -> None:
    """Weights 4, 2, 3 over two steps: 4, 3, 3; what is averaged stays as it is."""
    one = network(league(0), 0)
    average, seen = WeightAverage(one, 2), []
    for value in (4.0, 2.0, 3.0):
        fill(one, value)
        average.add()
        (mean,) = {float(entry) for parameter in average.network.parameters() for entry in parameter.detach().flatten()}
        seen.append(mean)
        assert all((parameter == value).all() for parameter in one.parameters())
    assert seen == [4.0, 3.0, 3.0]
    again = WeightAverage(one, 2)
    again.load_state_dict(average.state_dict())
    fill(one, 5.0)
    for each in (average, again):
        each.add()
    for one_of, other in zip(again.network.parameters(), average.network.parameters(), strict=True):
        assert torch.equal(one_of, other) and bool((one_of == 4).all())


def test_a_league_evaluates_the_mean_of_its_learners_weights() -> None:
    """Over the whole run, so that it is the plain mean; over no share of it, the weights as they are."""
    periods, seen = HORIZON, list[np.ndarray]()
    mode = league(0, average=1.0)
    for _ in range(periods):
        mode.play_period()
        seen.append(torch.nn.utils.parameters_to_vector(network(mode, 0).parameters()).detach().double().numpy().copy())
    found = torch.nn.utils.parameters_to_vector(mode.network(0).parameters()).detach().numpy()
    assert found == pytest.approx(np.mean(seen, axis=0), abs=1e-6)
    assert np.abs(np.mean(seen, axis=0) - seen[-1]).max() > 1e-4
    now = league(periods, average=0.0)
    for p, q in zip(now.network(0).parameters(), network(now, 0).parameters(), strict=True):
        assert torch.equal(p, q)
