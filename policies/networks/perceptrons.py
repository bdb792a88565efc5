"""Networks' layers, and the values of a grid of decisions.

Dimensions: B rows of a batch, K = P x J discrete actions (prices x levels), C coefficients.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.polynomial.legendre import legvander
from numpy.typing import NDArray
from torch import Tensor, nn

from policies.networks.normalizer import Normalizer


class Perceptron(nn.Module):
    """Linear layers with ReLU between, behind a normalizer where there is one: (B, inputs) -> (B, outputs)."""

    def __init__(
        self, inputs: int, outputs: int, hidden: tuple[int, ...], last_gain: float = 1.0, normalize: bool = False
    ) -> None:
        super().__init__()
        self.normalizer = Normalizer(inputs) if normalize else None
        sizes = (inputs, *hidden, outputs)
        self._run = tuple(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.layers = nn.ModuleList(self._run)
        with torch.no_grad():
            self._run[-1].weight.mul_(last_gain)
            self._run[-1].bias.zero_()

    @property
    def device(self) -> torch.device:
        return self._run[-1].bias.device

    def forward(self, x: Tensor) -> Tensor:
        last = self._run[-1]
        return nn.functional.linear(self._inner(x), last.weight, last.bias)

    def _inner(self, x: Tensor) -> Tensor:
        if self.normalizer is not None:
            x = self.normalizer(x)
        for layer in self._run[:-1]:
            x = torch.relu_(nn.functional.linear(x, layer.weight, layer.bias))
        return x

    def at(self, x: Tensor, index: Tensor) -> Tensor:
        """One output (B,) a row, ``index`` (B,): as ``forward`` and gather but for rounding, without the other outputs.

        Of the hundreds of values of a grid, learning moves one a transition.
        """
        return self._at(self._inner(x), index)

    def _at(self, inner: Tensor, index: Tensor) -> Tensor:
        last = self._run[-1]
        return (inner * nn.functional.embedding(index, last.weight)).sum(dim=1) + last.bias[index]

    def tensor(self, x: Tensor | NDArray[Any]) -> Tensor:
        """Observations or actions as float32 on this network's device."""
        return torch.as_tensor(x, dtype=torch.float32, device=self.device)


class GridPerceptron(Perceptron):
    """Values (B, K) of a grid of P prices x J levels, K = P J: polynomials of the place on it, their coefficients by state.

    The value at price i and level j is the sum over a + b <= D of c_ab L_a(x_i) L_b(y_j), with Legendre polynomials L and
    x, y evenly from -1 to 1 along prices and along levels, of degree n - 1 at most along an axis of n values: what is
    learned of one decision tells of those around it (linear values over an orthogonal basis of actions: Sutton & Barto
    2018, sections 9.5 and 10.1). A part of its own for each of hundreds of decisions is more than noisy returns can tell
    (``tests/experiments/learning_table.md``).

    Example: 3 x 1, D 2, coefficients (1, 2, 3) of L_0 = 1, L_1 = x and L_2 = (3 x^2 - 1) / 2: values 2, -0.5, 6.
    """

    basis: Tensor

    def __init__(
        self, inputs: int, axes: tuple[int, int], hidden: tuple[int, ...], degree: int, normalize: bool = False
    ) -> None:
        basis = _polynomials(axes, degree)
        super().__init__(inputs, basis.shape[1], hidden, normalize=normalize)
        self.register_buffer("basis", basis, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) @ self.basis.T

    def _at(self, inner: Tensor, index: Tensor) -> Tensor:
        last = self._run[-1]
        return (nn.functional.linear(inner, last.weight, last.bias) * self.basis[index]).sum(dim=1)


def _polynomials(axes: tuple[int, int], degree: int) -> Tensor:
    """Products (K, C) of Legendre polynomials of both axes, of joint degree ``degree`` at most.

    Saved networks are built without memory, on torch's ``meta`` device, but these are in no file: so never there.
    """
    price, level = (legvander(_evenly(count), min(degree, count - 1)) for count in axes)
    kept = np.add.outer(np.arange(price.shape[1]), np.arange(level.shape[1])) <= degree
    both = np.einsum("pa,jb->pjab", price, level)[:, :, kept].reshape(axes[0] * axes[1], -1)
    return torch.tensor(both, dtype=torch.float32, device="cpu")


def _evenly(count: int) -> NDArray[np.float64]:
    return np.linspace(-1.0, 1.0, count) if count > 1 else np.zeros(1)


class PartsPerceptron(Perceptron):
    """Values (B, K) of a grid of P prices x J levels, each a sum: state + price + level + joint + shared parts.

    For grids that span whole ranges, where a polynomial would follow the large losses at their ends and miss the best.
    What is learned of one action tells of all with its price, and of all with its level. State and advantage apart:
    Wang et al. (2016), dueling networks; a part for each branch of a decision: Tavakoli et al. (2018). With ``knots`` C,
    decisions beside one another share parts too: C hats (linear splines) along prices, C along levels and C x C of both,
    at most as many as an axis has values; coarse coding of actions (Sutton & Barto 2018, section 9.5.3).

    Example: 2 x 2, no knots, state 1, price parts (0, 2), level parts (0, 3), joint parts 0: values 1, 4, 3, 6.
    """

    shared: Tensor | None

    def __init__(
        self, inputs: int, axes: tuple[int, int], hidden: tuple[int, ...], normalize: bool = False, knots: int = 0
    ) -> None:
        self._parts = (1, *axes, axes[0] * axes[1])
        shared = _shared(axes, knots) if knots else None
        outputs = sum(self._parts) + (0 if shared is None else shared.shape[1])
        super().__init__(inputs, outputs, hidden, normalize=normalize)
        self.register_buffer("shared", shared, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        found = super().forward(x)
        own = sum(self._parts)
        state, price, level, joint = torch.split(found[:, :own], list(self._parts), dim=1)
        values = joint + (price.unsqueeze(2) + level.unsqueeze(1)).flatten(1) + state
        return values if self.shared is None else torch.addmm(values, found[:, own:], self.shared.T)

    def _at(self, inner: Tensor, index: Tensor) -> Tensor:
        last, own, rows = self._run[-1], sum(self._parts), self._rows(index)
        values = (inner * nn.functional.embedding(rows, last.weight).sum(dim=1)).sum(dim=1) + last.bias[rows].sum(dim=1)
        if self.shared is None:
            return values
        coarse = nn.functional.linear(inner, last.weight[own:], last.bias[own:])
        return values + (coarse * self.shared[index]).sum(dim=1)

    def _rows(self, index: Tensor) -> Tensor:
        _, prices, levels, _ = self._parts
        price, level, joint = 1 + index // levels, 1 + prices + index % levels, 1 + prices + levels + index
        return torch.stack((torch.zeros_like(index), price, level, joint), dim=1)


def _shared(axes: tuple[int, int], knots: int) -> Tensor:
    """Weights (K, hats) of the shared parts of each of P x J values."""
    price, level = (_hats(count, min(knots, count)) for count in axes)
    both = torch.einsum("pi,jk->pjik", price, level).reshape(axes[0] * axes[1], -1)
    return torch.cat((price.repeat_interleave(axes[1], 0), level.repeat(axes[0], 1), both), dim=1)


def _hats(count: int, knots: int) -> Tensor:
    """Linear splines (count, knots) at evenly spread values: 3 values, 2 knots: (1, 0), (.5, .5), (0, 1).

    On the processor for the reason that :func:`_polynomials` gives.
    """
    at = torch.linspace(0, knots - 1, count, device="cpu").unsqueeze(1)
    return (1 - (at - torch.arange(knots, device="cpu")).abs()).clamp(min=0)
