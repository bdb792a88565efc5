"""A run's folder: it explains itself, and an existing one is never written over."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from importlib import metadata
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from market.errors import UserError
from policies.common.files import inside, plain_name, read_json, timestamp, write_file, write_json
from policies.config.run import RunConfig, read_config

if TYPE_CHECKING:  # it brings torch, and a folder is looked at without
    from policies.sellers.checkpoint import SavedSeller

SEEDS = "seeds.json"  # of a folder with a run for each of several seeds
ABOUT = "run.json"
ANALYSIS, POOL, STATE = "analysis", "pool", "state"  # what exploit and deviate found; a population; the training state
WHOLE_MARKET = "(market)"  # whom figures of the whole market stand under: no seller can have this name
PACKAGES = ("bazaar-market", "torch", "tianshou", "pettingzoo", "numpy", "numba", "tensorboard")


def choose_folder(runs: Path, name: str | None, config: Path, seed: int) -> Path:
    """The folder that a run will have, ``runs/name`` (default: config, seed and time); nothing is written.

    Raises :class:`UserError` when it exists or cannot be.
    """
    if name is not None and not plain_name(name):
        raise UserError(f"--name {name!r}: must be a plain folder name")
    refuse_no_place(runs)
    folder = runs / (name or f"{config.stem}-seed{seed}-{datetime.now():%Y%m%d-%H%M%S}")
    if name is None:
        stem, others = folder.name, count(2)
        while folder.exists():
            folder = folder.with_name(f"{stem}-{next(others)}")
    if folder.exists():
        raise _taken(folder)
    return folder


def refuse_no_place(runs: Path) -> None:
    """Raise :class:`UserError` for a folder of runs that is none, or cannot be made: where a file stands in its path."""
    first = next((place for place in (runs, *runs.parents) if place.exists()), Path())
    if not first.is_dir():
        raise UserError(
            f"--runs {runs}: " + ("is not a folder" if first == runs else f"{first} is a file, not a folder")
        )


def make_folder(folder: Path, *inside: str) -> None:
    """Make a folder and those ``inside``; raise :class:`UserError` when it exists."""
    try:
        for path in (folder, *(folder / name for name in inside)):
            path.mkdir(parents=True)
    except FileExistsError:
        raise _taken(folder) from None
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({error.strerror})") from None


def _taken(folder: Path) -> UserError:
    return UserError(f"{folder}: exists already; a run is never written over, choose another --name")


def describe(folder: Path, config: RunConfig, command: str, facts: dict[str, Any]) -> None:
    """Write the resolved configuration and the run's command, versions, seed and device."""
    write_config(folder / "config.yaml", config)
    about = {
        "command": command,
        "started": timestamp(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": versions(),
        **facts,
    }
    write_json(folder / ABOUT, about)


def keep_rivals(folder: Path, config: RunConfig, rivals: Mapping[int, SavedSeller]) -> None:
    """Copy the sellers of other runs that play here, by seat: those runs may go on, move or be deleted."""
    for seat, saved in rivals.items():
        write_file(_rival_path(folder, config, seat), saved.path.read_bytes())


def _rival_path(folder: Path, config: RunConfig, seat: int) -> Path:
    return inside(folder / "checkpoints", f"{config.market.names[seat]}.rival.pt")


def saved_rival(config: RunConfig, seat: int, folder: Path | None = None) -> SavedSeller | None:
    """The other run's seller that a seat is given to: a run's copy in ``folder``, else where it was trained; else None.

    Raises :class:`UserError` where neither is the seller that the configuration means.
    """
    rival = config.rival(seat)
    if rival is None:
        return None
    from policies.sellers.checkpoint import load_seller

    copies = [] if folder is None else [_rival_path(folder, config, seat)]
    for path in (*copies, rival.file):
        if rival.is_file(path):
            return load_seller(path)
    why = "was changed since, or trained on" if rival.file.is_file() else "is not there any more"
    raise UserError(
        f"seats.{config.market.names[seat]}: {rival.file}: {why}"
        + "".join(f", and {path} is not the copy of it" for path in copies if path.is_file())
        + "; put it back, or leave sha256 out to take it as it is now"
    )


def write_config(path: Path, config: RunConfig) -> None:
    """Write a configuration that :func:`policies.config.run.read_config` reads back."""
    write_file(path, config_text(config))


def config_text(config: RunConfig) -> str:
    """A configuration as its file has it."""
    return yaml.safe_dump(config.dump(), sort_keys=False, allow_unicode=True)


def versions() -> dict[str, str]:
    """The versions of what decides a run's bits."""
    found = dict.fromkeys(PACKAGES, "not installed as a package")
    for package in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def read_about(folder: Path) -> dict[str, Any]:
    """What ``run.json`` says; empty where it cannot be read."""
    return read_json(folder / ABOUT, dict)


def add_about(folder: Path, **facts: Any) -> None:
    """Add to what ``run.json`` says."""
    write_json(folder / ABOUT, read_about(folder) | facts)


def seed_folders(folder: Path) -> list[Path]:
    """The runs in a folder of several seeds, by seed; none where it is no such folder."""
    if not (folder / SEEDS).is_file():
        return []
    found = [path.parent for path in folder.glob("seed-*/config.yaml")]
    return sorted(found, key=lambda path: (len(path.name), path.name))


def missing_seeds(folder: Path) -> list[str]:
    """The runs that a folder of several seeds lists and does not hold, each with how it is said to have ended."""
    listed = read_json(folder / SEEDS, dict).get("seeds")
    states = listed if isinstance(listed, dict) else {}
    return [f"seed-{k} ({how})" for k, how in states.items() if not (folder / f"seed-{k}" / "config.yaml").is_file()]


def open_run(folder: Path) -> RunConfig:
    """The resolved configuration of a run; raise :class:`UserError` when the folder is not a run's."""
    if not folder.is_dir():
        raise UserError(f"{folder}: is not a run's folder")
    if not (folder / "config.yaml").is_file():
        if seeds := seed_folders(folder):
            raise UserError(f"{folder}: holds the runs of {len(seeds)} seeds; name one, such as {seeds[0]}")
        raise UserError(f"{folder}: is not a run (it has no config.yaml)")
    return read_config(folder / "config.yaml")


def learning_seats(config: RunConfig) -> dict[int, str]:
    """The names of the learners that a configuration seats, by seat; unlike their options they need no Tianshou."""
    from policies.sellers.rules.pricing import PRICING  # brings scipy

    entries = {seat: config.player(seat) for seat in range(len(config.market.sellers))}
    named = {seat: entry.get("learner") if isinstance(entry, dict) else entry for seat, entry in entries.items()}
    return {seat: name for seat, name in named.items() if name and str(name).isidentifier() and name not in PRICING}


def chosen_among_rivals(config: RunConfig) -> bool:
    """Whether best policies are chosen among the rivals that ``seats`` names: where all but one seat are fixed."""
    learning = learning_seats(config)
    return len(learning) == 1 and all(
        k in learning or name in config.seats for k, name in enumerate(config.market.names)
    )


def refuse_no_run(text: str, where: str = "") -> None:
    """Raise :class:`UserError` for the path of no folder where a run or rules may be named."""
    if ("/" in text or "\\" in text) and not Path(text).is_dir():
        raise UserError(f"{where}{text}: is neither a run's folder nor rules such as nash+base_stock")


def refuse_other_sellers(seller: str | None, folder: Path, sellers: Iterable[str]) -> None:
    """Raise :class:`UserError` for a ``--seller`` that is none of those that a run trained."""
    known = list(sellers)
    if seller is not None and seller not in known:
        raise UserError(f"--seller {seller}: the run's trained sellers are {', '.join(known)} ({folder})")


def exported_seller(folder: Path) -> str | None:
    """Whose folder it is, where `bazaar export` made it."""
    seller = read_json(folder / "contract.json", dict).get("seller")
    return seller if isinstance(seller, str) else None


def seller_asked(folder: Path, seller: str | None) -> str:
    """Who is meant of a run: the ``seller`` asked for, or the only one that learned.

    Raises :class:`UserError` for one that did not learn in it, and where several did and none is named.
    """
    config = open_run(folder)
    learned = [config.market.names[seat] for seat in learning_seats(config)]
    refuse_other_sellers(seller, folder, learned)
    seller = seller or exported_seller(folder)
    if seller is None and len(learned) != 1:
        raise UserError(f"--seller: the run's trained sellers are {', '.join(learned)}: say who is meant")
    return seller or learned[0]


def saved_sellers(folder: Path, which: str = "best") -> dict[str, SavedSeller]:
    """The run's learners by name, at their best or latest evaluation.

    Raises :class:`UserError` where there are none, or where one of a seat that learned is missing.
    """
    from policies.sellers.checkpoint import load_seller

    paths = sorted((folder / "checkpoints").glob(f"*.{which}.pt"))
    if not paths:
        raise UserError(f"{folder}: holds no saved sellers (checkpoints/*.{which}.pt)")
    sellers = {saved.seller: saved for saved in sorted(map(load_seller, paths), key=lambda saved: saved.seat)}
    if (folder / "config.yaml").is_file():
        config = open_run(folder)
        learned = read_about(folder).get("learning", {}).get("seats")
        for seat, player in learning_seats(config).items():
            if (name := config.market.names[seat]) not in sellers:
                missing = folder / "checkpoints" / f"{name}.{which}.pt"
                if learned is not None and name not in learned:
                    raise UserError(f"{folder / 'config.yaml'}: seats.{name}: {player!r} is no rule that is known here")
                raise UserError(f"{missing}: is missing: {name} learned in this run, and its saved seller is not there")
    return sellers
