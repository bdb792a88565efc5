"""Arrays and random generators as tensors and back: what is saved holds tensors and plain values only, so that it loads without pickle.

Every loop, seat and learner offers ``state_dict()`` and ``load_state_dict(state)``: nested dicts and lists of tensors,
numbers, text, true, false and None. The tensors are copies: what is saved does not change when its owner goes on.

How many threads torch uses on a CPU: one, for good.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def to_tensors(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    """Copies of arrays by name; a record of float64 fields gets them as a last dimension."""
    return {name: torch.from_numpy(np.array(_flat(array), order="C")) for name, array in arrays.items()}


def _flat(array: NDArray[Any]) -> NDArray[Any]:
    return array if array.dtype.names is None else array.view(np.float64).reshape(*array.shape, -1)


def to_arrays(tensors: Mapping[str, Tensor], like: Mapping[str, NDArray[Any]] | None = None) -> dict[str, NDArray[Any]]:
    """Copies of tensors by name, as records where the arrays of the same name in ``like`` are."""
    arrays = {name: np.array(tensor.cpu().numpy()) for name, tensor in tensors.items()}
    for name, array in (like or {}).items():
        if name in arrays and array.dtype.names is not None:
            arrays[name] = arrays[name].view(array.dtype)[..., 0]
    return arrays


_MASK64 = (1 << 64) - 1


def generator_state(rng: np.random.Generator) -> Tensor:
    """The state of a PCG64 generator as six words, (6,) int64."""
    state: Any = rng.bit_generator.state
    wide = (state["state"]["state"], state["state"]["inc"])
    words = [part for value in wide for part in (value >> 64, value & _MASK64)]
    return torch.from_numpy(np.array([*words, state["has_uint32"], state["uinteger"]], np.uint64).view(np.int64))


def restore_generator(rng: np.random.Generator, words: Tensor) -> None:
    """Put a PCG64 generator back into a state taken by :func:`generator_state`."""
    high, low, inc_high, inc_low, has_uint32, uinteger = (int(word) for word in words.cpu().numpy().view(np.uint64))
    rng.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": high << 64 | low, "inc": inc_high << 64 | inc_low},
        "has_uint32": has_uint32,
        "uinteger": uinteger,
    }


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


def free_bytes(device: str) -> int | None:
    """Memory that is free on a device, ``cpu`` or ``cuda``; None where the system does not say (other than Linux).

    Of a process whose group has a limit (a container), what is left of that.
    """
    if device == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    found = [1024 * value for value in [_figures("/proc/meminfo").get("MemAvailable")] if value is not None]
    with suppress(OSError, ValueError):  # no limit is "max", no group no file
        group = Path("/sys/fs/cgroup")
        limit, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
        found.append(limit - used + _figures(str(group / "memory.stat")).get("inactive_file", 0))
    return min(found, default=None)


def _figures(path: str) -> dict[str, int]:
    """Lines such as ``MemAvailable:  100 kB`` by their first words; none where there is no such file."""
    try:
        lines = [line.split() for line in Path(path).read_text(encoding="utf-8").splitlines()]
    except OSError:
        return {}
    return {words[0].rstrip(":"): int(words[1]) for words in lines if len(words) > 1 and words[1].isdecimal()}
