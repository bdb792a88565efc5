"""Values of a grid as sums of parts: by hand, and that an action never tried is valued by its price and its level."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from policies.config.run import read_config
from policies.learners.build import make_learner
from policies.networks.architecture import Architecture, build
from policies.networks.heads import GridPerceptron
from tests.helpers.learning import CONFIGS


def test_a_grid_by_hand() -> None:
    body = GridPerceptron(1, (2, 2), (1,))
    parts = torch.tensor([1.0, 0.0, 2.0, 0.0, 3.0, 0.0, 0.0, 0.0, 0.0])
    with torch.no_grad():
        body._run[-1].weight.zero_()
        body._run[-1].bias.copy_(parts)
    assert body(torch.zeros(1, 1)).tolist() == [[1.0, 4.0, 3.0, 6.0]]


def test_five_actions_tell_of_nine() -> None:
    """Values 2 p + j on a 3 x 3 grid, learned without a joint part from one row and one column of it."""
    torch.manual_seed(0)
    body, x = GridPerceptron(1, (3, 3), (4,)), torch.ones(1, 1)
    wanted = torch.tensor([2.0 * p + j for p in range(3) for j in range(3)])
    seen, last = torch.tensor([0, 1, 2, 3, 6]), body._run[-1]
    with torch.no_grad():
        last.weight[-9:] = 0.0
    optimizer = torch.optim.Adam(body.parameters(), lr=0.05)
    for _ in range(600):
        optimizer.zero_grad()
        (body(x)[0, seen] - wanted[seen]).square().sum().backward()
        assert last.weight.grad is not None and last.bias.grad is not None
        last.weight.grad[-9:] = last.bias.grad[-9:] = 0.0
        optimizer.step()
    assert torch.allclose(body(x)[0], wanted, atol=1e-2)


def test_a_learner_uses_the_grid_of_its_seat_unless_told_not_to() -> None:
    config = read_config(CONFIGS / "monopoly.yaml", ["market.sellers.shop.grid.prices=3"])
    learner, _ = make_learner(config, 0, "dqn", "cpu", 0)
    assert learner.architecture.axes == (3, 8)
    assert learner.architecture.knots == 5
    plain, _ = make_learner(config, 0, {"learner": "dqn", "axes": False}, "cpu", 0)
    assert plain.architecture.axes is None
    with torch.device("meta"):  # as saved sellers are built
        again = build(Architecture.model_validate(learner.architecture.model_dump(mode="json")))
    again.load_state_dict(learner.network.state_dict(), assign=True)
    obs = np.zeros((2, learner.architecture.observation), np.float32)
    assert np.array_equal(again.greedy(torch.from_numpy(obs)).numpy(), learner.act(obs, explore=False))


@pytest.mark.parametrize(("kind", "actions"), [("q", 7), ("categorical", 6)])
def test_axes_that_do_not_fit_are_refused(kind: str, actions: int) -> None:
    with pytest.raises(ValidationError, match="q network of 6 actions"):
        Architecture(kind=kind, observation=2, actions=actions, axes=(2, 3))


def test_shared_parts_by_hand() -> None:
    """3 prices x 2 levels, 2 knots: the middle price has half of either end's part, alone and with its level."""
    body = GridPerceptron(1, (3, 2), (1,), knots=2)
    prices, levels, both = [1.0, 3.0], [0.0, 10.0], [0.0, 100.0, 0.0, 300.0]
    with torch.no_grad():
        body._run[-1].weight.zero_()
        body._run[-1].bias.copy_(torch.tensor([0.0] * (1 + 3 + 2 + 6) + prices + levels + both))
    assert body(torch.zeros(1, 1)).tolist() == [[1.0, 111.0, 2.0, 212.0, 3.0, 313.0]]


def test_what_is_learned_of_a_decision_tells_of_its_neighbours() -> None:
    """A step up at the third of nine prices, by hand: 7 parts there, half of two beside it, state and level (3) for all."""
    torch.manual_seed(0)
    body, x = GridPerceptron(1, (9, 1), (4,), knots=5), torch.ones(1, 1)
    before = body(x).detach().clone()
    body.at(x, torch.tensor([2])).sum().backward()
    with torch.no_grad():
        body._run[-1].bias += body._run[-1].bias.grad
    gained = (body(x).detach() - before)[0]
    assert gained.tolist() == pytest.approx([3, 4, 7, 4, 3, 3, 3, 3, 3], abs=1e-5)


@pytest.mark.parametrize("knots", [0, 3])
@pytest.mark.parametrize("axes", [(2, 3), (1, 4), (5, 1)])
def test_one_value_alone_is_that_of_all(axes: tuple[int, int], knots: int) -> None:
    """And its gradient is, too: what it does not touch does not move."""
    body = GridPerceptron(4, axes, (8,), knots=knots)
    actions = axes[0] * axes[1]
    seen = torch.randn(3 * actions, 4, generator=torch.Generator().manual_seed(0))
    index = torch.arange(3 * actions) % actions
    found, wanted = body.at(seen, index), body(seen).gather(1, index.unsqueeze(1)).squeeze(1)
    assert torch.allclose(found, wanted, atol=1e-6)
    parameters = list(body.parameters())
    for one, other in zip(
        torch.autograd.grad((found**2).sum(), parameters),
        torch.autograd.grad((wanted**2).sum(), parameters),
        strict=True,
    ):
        assert torch.allclose(one, other, atol=1e-5)
