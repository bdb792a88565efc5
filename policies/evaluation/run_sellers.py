"""A run's sellers as they play once training is over, read from its folder.

Learned policies come from checkpoints, rules are built as training built them. A seat of a ``psro`` run may also play the
mixture that it came to, from ``psro.json`` and ``pool/``; :func:`pack` makes one file of such a mixture.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from pydantic import Field, NonNegativeFloat, model_validator

from market.errors import UserError
from market.spec.loading import parse_model
from market.spec.models import MarketSpec, Model
from policies.common.files import inside
from policies.common.results import Records
from policies.config.run import RunConfig
from policies.evaluation.line_ups import LineUps
from policies.sellers.checkpoint import SavedSeller, load_seller
from policies.sellers.mixture import MixtureSeller
from policies.sellers.protocol import Seller
from policies.sellers.rules.base import place
from policies.sellers.rules.compose import Rules, compose, parse_rules
from policies.sellers.seated import Seated
from policies.storage.run_folder import ANALYSIS, POOL, open_run, read_about, saved_rival, saved_sellers
from policies.storage.work_folder import differences, named

if TYPE_CHECKING:
    from pandas import DataFrame

FILE = "psro.json"
HOME = "home.pt"
MIXTURE = "mixture"
MOST_NAMED = 5
# They change how a seat decides or what its reward is divided by, not the market that the others meet.
OWN_MATTERS = ("reward_scale", "actions", "grid", "center")
Find = Callable[[str], Rules]


class _Entry(Model):
    """A member as ``psro.json`` has it: a file of the run's folder, or rules."""

    file: str | None = None
    rules: str | None = None
    weight: Annotated[NonNegativeFloat, Field(allow_inf_nan=False)]

    @model_validator(mode="after")
    def _one(self) -> _Entry:
        if (self.file is None) == (self.rules is None):
            raise ValueError("must have either file or rules")
        return self


@dataclass(frozen=True)
class Part:
    """A member with its ``weight`` > 0: a saved seller, or rules whose levels have been found."""

    weight: float
    policy: SavedSeller | Rules


@dataclass(frozen=True)
class SavedMixture(SavedSeller):
    """A mixed strategy of one seat: ``parts`` play, and the seat's latest checkpoint says where they belong."""

    parts: tuple[Part, ...]

    @property
    def kind(self) -> str:
        """Its learner, and that it mixes."""
        return f"{self.learner} {MIXTURE}"

    def sit(self, spec: MarketSpec, seat: int | None = None, adapt: bool = False) -> MixtureSeller:
        """Put the mixture into a seat of ``spec``; arguments and refusals as :meth:`SavedSeller.sit` has them.

        Rules stay what they were in the seat and the market of training, as the ranges of learned members do.
        """
        super().sit(spec, seat, adapt)
        return MixtureSeller(
            [self._seller(part.policy, spec, seat, adapt) for part in self.parts], [part.weight for part in self.parts]
        )

    def _seller(self, policy: SavedSeller | Rules, spec: MarketSpec, seat: int | None, adapt: bool) -> Seller:
        if isinstance(policy, Rules):
            return compose(policy, self.market, self.seat)
        return policy.sit(spec, seat, adapt)


def saved_policies(folder: Path, checkpoint: str = "best") -> Mapping[str, SavedSeller]:
    """The run's learners by name, in seat order: at their ``best`` or ``latest`` evaluation, or their ``mixture``.

    Raises:
        UserError: there are none; for ``mixture`` also where the run's mode has none, or its files are damaged.
    """
    if checkpoint != MIXTURE:
        return saved_sellers(folder, checkpoint)
    config = open_run(folder)
    if config.selfplay.mode != "psro":
        raise UserError(
            f"{folder}: has no mixture, its selfplay is {config.selfplay.mode}; a run with selfplay: psro ends with one"
        )
    line_ups = LineUps(config, run_seed(folder))
    homes = saved_sellers(folder, "latest")
    return {name: load_mixture(folder, home, as_trained(line_ups, home.seat)) for name, home in homes.items()}


def as_trained(line_ups: LineUps, seat: int) -> Find:
    """Rules of a run's population with their levels, as training found them."""
    return lambda text: line_ups.fixed(parse_rules(text, "rules", line_ups.spec), seat).rules


def load_mixture(folder: Path, home: SavedSeller, find: Find) -> SavedMixture:
    """The mixture of the seat of ``home``; ``find`` reads rules and finds their levels.

    Raises :class:`UserError` where the folder has none or it is damaged.
    """
    path = folder / FILE
    parts = []
    for k, entry in enumerate(_entries(path, home.seller)):
        if entry.weight > 0:
            with place(f"{path}: mixtures.{home.seller}.{k}"):
                parts.append(Part(entry.weight, _policy(folder, entry, home, find)))
    return SavedMixture(**vars(home), parts=tuple(parts))


def _entries(path: Path, seller: str) -> list[_Entry]:
    try:
        listed: list[Any] = list(json.loads(path.read_text(encoding="utf-8"))["mixtures"][seller])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{path}: is missing or damaged: it holds no mixture of {seller}") from None
    entries = [parse_model(_Entry, one, f"{path}: mixtures.{seller}.{k}") for k, one in enumerate(listed)]
    if not sum(entry.weight for entry in entries) > 0:
        raise UserError(f"{path}: mixtures.{seller}: no member has a weight above 0")
    return entries


def _policy(folder: Path, entry: _Entry, home: SavedSeller, find: Find) -> SavedSeller | Rules:
    if entry.file is None:
        return find(str(entry.rules))
    member = load_seller(inside(folder, entry.file))
    if (member.seller, member.seat) != (home.seller, home.seat):
        raise UserError(f"{entry.file} is a policy of {member.seller}")
    return member


# ------------------------------------------------------------------------------------------------ one file of it all


def pack(mixture: SavedMixture) -> bytes:
    """A zip that holds all that decides how the mixture plays; the same bytes for the same mixture."""
    files, listed = {HOME: mixture.path.read_bytes()}, []
    for k, part in enumerate(mixture.parts):
        own: dict[str, Any] = {"weight": part.weight}
        if isinstance(part.policy, Rules):
            own["rules"] = part.policy.label
        else:
            own["file"] = f"{POOL}/{k}.pt"
            files[own["file"]] = part.policy.path.read_bytes()
        listed.append(own)
    files[FILE] = json.dumps({"mixtures": {mixture.seller: listed}}).encode()
    content = BytesIO()
    with ZipFile(content, "w") as packed:
        for name, one in files.items():
            packed.writestr(ZipInfo(name), one)  # dated 1980, whenever it is written
    return content.getvalue()


def unpack(content: bytes, name: str) -> SavedMixture:
    """What :func:`pack` packed; raise :class:`UserError` for anything else, under ``name``."""
    with tempfile.TemporaryDirectory() as at:
        try:
            with ZipFile(BytesIO(content)) as packed:
                _write_members(packed, Path(at), len(content))
        except (BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError):
            raise UserError(f"{name}: is damaged or no mixture packed by bazaar") from None
        home = load_seller(Path(at) / HOME)
        return load_mixture(Path(at), home, lambda text: parse_rules(text, name, home.market))


def _write_members(packed: ZipFile, at: Path, most: int) -> None:
    """Write the files of a zip that :func:`pack` packed as they are, so that they hold no more bytes than the zip."""
    (at / POOL).mkdir()
    files = packed.infolist()
    if any(one.compress_type != ZIP_STORED for one in files) or sum(one.file_size for one in files) > most:
        raise BadZipFile
    for one in files:
        inside(at, one.filename).write_bytes(packed.read(one))


@dataclass(frozen=True)
class RunSeller:
    """Who sits in a seat of a run: a learned seller, a fixed competitor, or another run's seller.

    Args:
        kind: the learner, the rules as the configuration has them, or whose seller it is.
        learner: the algorithm of one that learned in this run, and ``rules`` of a fixed one with the levels found; else
            None.
        trained: seller-periods behind the checkpoint, and ``score`` what it earned then; None where none learned.
    """

    seat: int
    name: str
    kind: str
    seller: Seller
    learner: str | None = None
    rules: Rules | None = None
    trained: int | None = None
    score: float | None = None

    @property
    def label(self) -> str:
        """Name and kind: "left (dqn)"."""
        return f"{self.name} ({self.kind})"


@dataclass(frozen=True)
class RunSellers:
    """A run's market and its sellers, ``players`` (N) in seat order."""

    folder: Path
    config: RunConfig
    line_ups: LineUps
    players: tuple[RunSeller, ...]

    @property
    def spec(self) -> MarketSpec:
        """The market."""
        return self.config.market

    @property
    def seed(self) -> int:
        """The seed that the run was trained with."""
        return self.line_ups.seed

    @property
    def sellers(self) -> list[Seller]:
        """The players' sellers."""
        return [one.seller for one in self.players]


def run_sellers(folder: Path, checkpoint: str = "best") -> RunSellers:
    """Everybody of a run; raise :class:`UserError` for a folder that is not a run's, or lacks a saved seller.

    ``checkpoint``: ``best``, ``latest``, or ``mixture``, what learners of a ``psro`` run mix in its equilibrium.
    """
    config = open_run(folder)
    saved = {one.seat: one for one in saved_policies(folder, checkpoint).values()}
    run = RunSellers(folder, config, LineUps(config, run_seed(folder)), ())
    seats = range(len(run.spec.sellers))
    players = (_learned(saved[seat], run.spec) if seat in saved else _fixed(run, seat) for seat in seats)
    return replace(run, players=tuple(players))


def _learned(one: SavedSeller, spec: MarketSpec) -> RunSeller:
    score = one.score if math.isfinite(one.score) else None
    return RunSeller(one.seat, one.seller, one.kind, one.sit(spec), one.learner, None, one.trained, score)


def _fixed(run: RunSellers, seat: int) -> RunSeller:
    """Who sits in a seat without a checkpoint, another run's seller or rules; a learner's seat should have one."""
    entry, name = run.config.player(seat), run.spec.names[seat]
    if found := _rival(run.folder, run.config, seat, run.spec, seat):
        return RunSeller(seat, name, *found)
    rules = parse_rules(entry, f"{run.folder / 'config.yaml'}: seats.{name}", run.spec)
    seller = run.line_ups.fixed(rules, seat)
    return RunSeller(seat, name, rules.label, seller, rules=seller.rules)


def _rival(folder: Path, config: RunConfig, own: int, spec: MarketSpec, seat: int) -> tuple[str, Seller] | None:
    """Another run's seller that has the seat ``own`` of the run in ``folder``, in ``seat`` of ``spec``: "left of first"."""
    rival, saved = config.rival(own), saved_rival(config, own, folder)
    return None if rival is None or saved is None else (rival.label, saved.sit(spec, seat, adapt=True))


def seated(folder: Path, label: str, line_ups: LineUps, checkpoint: str = "best") -> Seated:
    """The sellers of a run as rivals in the market of ``line_ups``, which may be another than they learned in.

    A seller takes the seat of its name, or, where the market has other names, of its number. Those that learned are
    adapted to the market where it is another one (:meth:`SavedSeller.sit`), rules are found anew in it.

    Raises :class:`UserError` where there are not as many sellers, or one of them cannot play here.
    """
    config, spec = open_run(folder), line_ups.spec
    here, there = spec.names, config.market.names
    if len(here) != len(there):
        raise UserError(f"{folder}: its {len(there)} sellers cannot take the {len(here)} seats of {spec.name}")
    saved = {one.seat: one for one in saved_policies(folder, checkpoint).values()}
    named = []
    for seat, name in enumerate(here):
        own = there.index(name) if set(here) == set(there) else seat
        if own in saved:
            named.append((saved[own].title, saved[own].sit(spec, seat, adapt=spec != config.market)))
            continue
        if found := _rival(folder, config, own, spec, seat):
            named.append((f"{there[own]} ({found[0]})", found[1]))
            continue
        rules = parse_rules(config.player(own), f"{folder / 'config.yaml'}: seats.{there[own]}", spec)
        named.append((f"{there[own]} ({rules.label})", line_ups.fixed(rules, seat)))
    return Seated(label, named)


@dataclass(frozen=True)
class Run(Records):
    """A run's folder: what was trained in it, and what it wrote. ``checkpoint``: which of its sellers play."""

    folder: Path
    checkpoint: str = "best"

    @cached_property
    def config(self) -> RunConfig:
        """The configuration that the run was trained with."""
        return open_run(self.folder)

    @property
    def spec(self) -> MarketSpec:
        """The market."""
        return self.config.market

    @property
    def seed(self) -> int:
        """The seed that the run was trained with."""
        return run_seed(self.folder)

    @cached_property
    def sellers(self) -> list[Seller]:
        """Everybody of the run, in seat order, as they play once training is over."""
        return run_sellers(self.folder, self.checkpoint).sellers

    def records(self) -> list[dict[str, Any]]:
        """The rows of the final evaluation: a row a candidate and line-up; none where the run was cut short."""
        path = self.folder / "evaluation.json"
        found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
        return found

    def metrics(self) -> DataFrame:
        """What training measured, at each evaluation and between: a row a figure, as ``metrics.csv`` has them."""
        from pandas import read_csv

        return read_csv(self.folder / "metrics.csv")


def load_run(path: str | Path, checkpoint: str = "best") -> Run:
    """A run that was trained before. ``checkpoint``: best, latest, or the mixture that a ``psro`` run ends with.

    Raises :class:`UserError` for a folder that is not a run's.

    Example::

        from policies import load_run, rollout

        run = load_run("runs/first")
        ledger = rollout(run.spec, run.sellers, markets=16)
        print(ledger["profit"].mean(axis=(0, 1)))
    """
    run = Run(Path(path), checkpoint)
    run.config  # noqa: B018  # refused now rather than later
    return run


def told_seed(folder: Path) -> int | None:
    """The seed that a run says it was trained with (``run.json``), None where it does not say."""
    seed = read_about(folder).get("seed")
    return seed if isinstance(seed, int) else None


def run_seed(folder: Path) -> int:
    """The seed that a run was trained with; 0 where it does not say."""
    return told_seed(folder) or 0


def market_matters(market: MarketSpec) -> dict[str, Any]:
    """A market's settings as plain data without those that concern only how a seat decides."""
    data = market.dump()
    sellers = [{key: value for key, value in one.items() if key not in OWN_MATTERS} for one in data["sellers"]]
    return data | {"sellers": sellers}


def refuse_unlike(folders: Sequence[Path], markets: Sequence[MarketSpec]) -> None:
    """Raise :class:`UserError` for a run that is given twice, and for two of different markets with what differs.

    A run given twice would pass for two training runs, which makes intervals too narrow.
    """
    places = [folder.resolve() for folder in folders]
    for k, folder in enumerate(folders):
        if places[k] in places[:k]:
            raise UserError(f"{folder}: is given twice; every training run counts once")
        if found := list(differences(market_matters(markets[0]), market_matters(markets[k]), "market")):
            text = named(found, " and ", MOST_NAMED)
            raise UserError(f"{folders[0]} and {folder}: are runs of different markets: {text}")


def analysis_path(folder: Path, stem: str) -> Path:
    """A path in a run's ``analysis`` folder, without suffix, numbered where the name is taken.

    No file of that name exists, with whatever suffix: ``exploit-left-dqn``, then ``exploit-left-dqn-2``.
    """
    place = folder / ANALYSIS
    place.mkdir(exist_ok=True)
    taken = {path.name.rsplit(".", 1)[0] for path in place.iterdir()}
    names = (stem if k == 1 else f"{stem}-{k}" for k in count(1))
    return inside(place, next(name for name in names if name not in taken))
