"""How many threads torch uses on a CPU: one, for good."""

from __future__ import annotations


def one_torch_thread() -> None:
    """Keep torch to one thread for the rest of the process.

    The first use of numba's threads sets the number of every OpenMP library in the process anew, torch's as well, so it
    comes first: else the first large batch, such as a search for the best level, would bring torch's threads back, and
    two of them beside one busy process made an update of these small networks 15 times slower.
    """
    import numba
    import torch

    numba.get_num_threads()
    torch.set_num_threads(1)
