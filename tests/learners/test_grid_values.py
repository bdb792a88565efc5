"""Values of a grid as polynomials: by hand, and that an action never tried is valued by those around it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from policies.config.run import read_config
from policies.learners.build import make_learner
from policies.networks.architecture import Architecture, build
from policies.networks.perceptrons import GridPerceptron, PartsPerceptron
from tests.helpers.learning import CONFIGS


def with_coefficients(axes: tuple[int, int], degree: int, coefficients: list[float]) -> GridPerceptron:
    """Whatever is seen."""
    body = GridPerceptron(1, axes, (1,), degree)
    with torch.no_grad():
        body._run[-1].weight.zero_()
        body._run[-1].bias.copy_(torch.tensor(coefficients))
    return body


def test_prices_alone_by_hand() -> None:
    """1 + 2 x + 3 (3 x^2 - 1) / 2 at -1, 0 and 1."""
    body = with_coefficients((3, 1), 2, [1.0, 2.0, 3.0])
    assert body(torch.zeros(1, 1)).tolist() == [[2.0, -0.5, 6.0]]


def test_prices_and_levels_by_hand() -> None:
    """1 + 2 y + 10 x + 20 x y: y to the first power, as there are two levels; of degree two in all, so no x^2 y."""
    body = with_coefficients((3, 2), 2, [1.0, 2.0, 10.0, 20.0, 0.0])
    assert body(torch.zeros(1, 1)).tolist() == [[9.0, -27.0, -1.0, 3.0, -11.0, 33.0]]


def test_one_decision_alone() -> None:
    assert with_coefficients((1, 1), 6, [4.0])(torch.zeros(1, 1)).tolist() == [[4.0]]


@pytest.mark.parametrize("axes", [(3, 3), (2, 4), (4, 1)])
def test_a_small_grid_can_have_any_values(axes: tuple[int, int]) -> None:
    body = GridPerceptron(1, axes, (1,), 6)
    assert np.linalg.matrix_rank(body.basis.numpy()) == axes[0] * axes[1]


def test_what_was_never_tried_is_valued_by_what_is_around_it() -> None:
    """A smooth hill over 17 x 17 decisions, every third tried once, with noise of a tenth of its height; 200 times."""
    place = torch.linspace(-1, 1, 17)
    hill = -((place[:, None] - 0.3) ** 2) - (place[None, :] + 0.2) ** 2 + 0.5 * place[:, None] * place[None, :]
    hill, tried = hill.flatten() / (hill.max() - hill.min()), torch.arange(0, 289, 3)
    seen = hill[tried, None] + 0.1 * torch.randn(len(tried), 200, generator=torch.Generator().manual_seed(0))
    basis = GridPerceptron(1, (17, 17), (1,), 6).basis
    fitted = basis @ torch.linalg.lstsq(basis[tried], seen).solution
    lost, lost_by_looking = (hill.max() - hill[best].mean() for best in (fitted.argmax(0), tried[seen.argmax(0)]))
    assert lost < 0.6 * lost_by_looking


def test_a_learner_uses_the_grid_of_its_seat_unless_told_not_to() -> None:
    config = read_config(CONFIGS / "monopoly.yaml", ["market.sellers.shop.grid.prices=3"])
    spread, _ = make_learner(config, 0, "dqn", "cpu", 0)
    assert spread.architecture.axes == (3, 8)
    assert (spread.architecture.degree, spread.architecture.knots) == (None, 5)
    listed = ["market.sellers.shop.grid.prices=[1.5, 2, 2.2]", "market.sellers.shop.grid.levels=[10, 20, 25, 30]"]
    learner, _ = make_learner(read_config(CONFIGS / "monopoly.yaml", listed), 0, "dqn", "cpu", 0)
    assert learner.architecture.axes == (3, 4)
    assert (learner.architecture.degree, learner.architecture.knots) == (6, 0)
    plain, _ = make_learner(config, 0, {"learner": "dqn", "axes": False}, "cpu", 0)
    assert plain.architecture.axes is None
    with torch.device("meta"):  # as saved sellers are built
        again = build(Architecture.model_validate(learner.architecture.model_dump(mode="json")))
    again.load_state_dict(learner.network.state_dict(), assign=True)
    obs = np.zeros((2, learner.architecture.observation), np.float32)
    assert np.array_equal(again.greedy(torch.from_numpy(obs)).numpy(), learner.act(obs, explore=False))


def test_sums_of_parts_by_hand() -> None:
    """3 prices x 2 levels, by hand: state 1, prices 0, 2 and 4, levels 0 and 3, and with 2 knots half of either end's part."""
    own = [1.0, 0.0, 2.0, 4.0, 0.0, 3.0] + [0.0] * 6
    for knots, shared, values in (
        (0, [], [1.0, 4.0, 3.0, 6.0, 5.0, 8.0]),
        (2, [1.0, 3.0, 0.0, 10.0, 0.0, 100.0, 0.0, 300.0], [2.0, 115.0, 5.0, 218.0, 8.0, 321.0]),
    ):
        body = build(Architecture(kind="q", observation=1, actions=6, axes=(3, 2), hidden=(1,), knots=knots)).body
        assert isinstance(body, PartsPerceptron)
        with torch.no_grad():
            body._run[-1].weight.zero_()
            body._run[-1].bias.copy_(torch.tensor(own + shared))
        assert body(torch.zeros(1, 1)).tolist() == [values]
        assert body.at(torch.zeros(6, 1), torch.arange(6)).tolist() == values


@pytest.mark.parametrize(("kind", "actions"), [("q", 7), ("categorical", 6)])
def test_axes_that_do_not_fit_are_refused(kind: str, actions: int) -> None:
    with pytest.raises(ValidationError, match="q network of 6 actions"):
        Architecture(kind=kind, observation=2, actions=actions, axes=(2, 3), degree=2)


@pytest.mark.parametrize("changes", [{"degree": 1}, {"degree": 6}, {"knots": 0}, {"knots": 3}])
@pytest.mark.parametrize("axes", [(2, 3), (1, 4), (5, 1)])
def test_one_value_alone_is_that_of_all(axes: tuple[int, int], changes: dict[str, int]) -> None:
    """And its gradient is, too."""
    kind = GridPerceptron if "degree" in changes else PartsPerceptron
    body = kind(4, axes, (8,), **changes)  # type: ignore[arg-type]
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
