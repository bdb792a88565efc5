"""What every command can be asked: the one place in which an option is declared."""

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from attrs import field, frozen
from attrs import fields as attrs_fields

from market.calibration.options import DOUBTS, INSTRUMENTS
from market.errors import UserError
from market.salesfile.options import DateOrder, Missing, Returns, Span, known_encoding, known_zone
from policies.config.command import (
    AboveOne,
    AnyPort,
    Argument,
    AtLeastZero,
    Constraint,
    Count,
    Discount,
    Option,
    Order,
    Port,
    Positive,
    Seconds,
    Share,
    file,
    path,
    paths,
    words,
)

EXPERIMENTS = ("calvano",)  # that can be reproduced

Words = tuple[str, ...]
Paths = tuple[Path, ...]
File = Path | None
OnNan = Literal["stop", "rollback"]
DeviceName = Literal["auto", "cpu", "cuda"]

Config = Annotated[Path, Argument("YAML file, or the name of a built-in one (bazaar configs)", "CONFIG")]
RunPath = Annotated[Path, Argument("folder of a run", "RUN")]
Changes = Annotated[Words, Option("change one setting", "KEY.PATH=VALUE", "--set")]
Runs = Annotated[Path, Option("folder of the runs")]
Device = Annotated[DeviceName, Option("where networks live")]
Processes = Annotated[Count | None, Option("worker processes (default: cores)")]
Ray = Annotated[
    str | None,
    Option("run tasks on Ray: auto (RAY_ADDRESS, else a new one on this machine), or an address", "auto|ADDRESS"),
]
Checkpoint = Annotated[
    Literal["best", "latest", "mixture"],
    Option("which saved sellers: at their best or latest evaluation, or what a psro run mixes in the end"),
]
SeedOfCustomers = Annotated[AtLeastZero, Option("seed of the customers")]
Json = Annotated[File, Option("write what was found as JSON", "FILE")]
OVERWRITE = "overwrite"
Force = Annotated[bool, Option("write over files that are there")]


# ------------------------------------------------------------------------------------------------ training


@frozen(kw_only=True)
class TrainOrder(Order):
    """Train the learners of a configuration against each other.

    ``name`` of its folder: by default configuration, seed and time.
    """

    config: Config = field(converter=path, kw_only=False)
    budget: Annotated[Count | None, Option("seller-periods to train for (default: the config's)", "N")] = None
    seed: Annotated[AtLeastZero, Option("seed of the run")] = 0
    device: Device = "auto"
    changes: Annotated[
        Words,
        Option(
            "change one setting; training.evaluations=1 evaluates at the end alone, not 15 times on the way",
            "KEY.PATH=VALUE",
            "--set",
        ),
    ] = field(default=(), converter=words)
    name: Annotated[str | None, Option("name of the run's folder (default: config, seed and time)")] = None
    runs: Runs = field(default=Path("runs"), converter=path)
    checkpoint_every: Annotated[Seconds, Option("keep the whole run this often", "SECONDS")] = 60.0
    on_nan: Annotated[OnNan, Option("a learner diverged: stop, or go back at half its step size")] = "stop"


@frozen(kw_only=True)
class TrainSeedsOrder(TrainOrder):
    """Several training runs, with seeds from ``seed`` on."""

    seeds: Annotated[Count, Option("train this many seeds, from --seed on, in parallel", "K")]
    processes: Processes = None
    ray: Ray = None


@frozen(kw_only=True)
class ResumeOrder(Order):
    """A run that goes on; None: as it was begun, but for ``checkpoint_every`` of a single run, which is 60."""

    run: Annotated[Path, Option("go on with a run, or all --seeds, that were stopped", "RUN", "--resume")] = field(
        converter=path, kw_only=False
    )
    checkpoint_every: Annotated[Seconds | None, Option("keep the whole run this often", "SECONDS")] = None
    on_nan: Annotated[OnNan | None, Option("a learner diverged: stop, or go back at half its step size")] = None


@frozen(kw_only=True)
class ResumeSeedsOrder(ResumeOrder):
    """All runs of several seeds that go on; how many processes train them changes no bit."""

    processes: Processes = None
    ray: Ray = None


@frozen(kw_only=True)
class TuneOrder(Order):
    """Search options of the learners with Optuna.

    ``trials`` are all of the study, those of earlier calls among them; each is trained with ``seeds`` seeds and counts
    their mean, or the ``worst``; of a training run the ``best`` evaluation counts, or the ``last``. ``learner`` sits in
    every learning seat. Trials are suggested ``batch`` at a time. ``storage``: Optuna's URL of another store.
    """

    configs: Annotated[Paths, Argument("YAML files; tune: lists what is searched", "CONFIG")] = field(
        converter=paths, kw_only=False
    )
    trials: Annotated[Count, Option("trials, those of earlier calls included", "N")]
    seeds: Annotated[Count, Option("training seeds a trial", "K")] = 1
    over_seeds: Annotated[Literal["mean", "worst"], Option("what counts of them")] = "mean"
    score: Annotated[Literal["best", "last"], Option("which evaluation of a run counts")] = "best"
    learner: Annotated[str | None, Option("this learner in every learning seat, and only its options", "NAME")] = None
    budget: Annotated[Count | None, Option("seller-periods of a run (default: the config's)", "N")] = None
    batch: Annotated[Count, Option("trials suggested at a time")] = 8
    seed: Annotated[AtLeastZero, Option("seed of suggestions, and the first of training")] = 0
    processes: Processes = None
    ray: Ray = None
    device: Device = "auto"
    changes: Changes = field(default=(), converter=words)
    name: Annotated[str | None, Option("name of the folder (default: from the configs; the same call goes on)")] = None
    runs: Runs = field(default=Path("runs"), converter=path)
    storage: Annotated[str | None, Option("Optuna's store (default: study.db in the folder)", "URL")] = None


# ------------------------------------------------------------------------------------------------ about sellers


@frozen(kw_only=True)
class EvaluateOrder(Order):
    """Evaluate a seller against fixed competitors on the same customers.

    ``subjects``: folders of runs of one market, or one configuration.
    """

    subjects: Annotated[Paths, Argument("folders of runs (several: seeds), or a configuration", "RUN|CONFIG")] = field(
        converter=paths, kw_only=False
    )
    seller: Annotated[str | None, Option("one seller of a run; for a config, RULES such as nash+base_stock")] = None
    seat: Annotated[str | None, Option("evaluate in this seller's seat only")] = None
    against: Annotated[str | None, Option("what the rivals play, or whose sellers they are", "RULES|panel|RUN")] = None
    episodes: Annotated[Count | None, Option("play exactly this many (default: until precise)")] = None
    seed: SeedOfCustomers = 0
    checkpoint: Checkpoint = "best"
    changes: Changes = field(default=(), converter=words)
    risk: Annotated[bool, Option("print all measures of risk and service as well")] = False
    risk_level: Annotated[Share | None, Option("tail of VaR and CVaR (default: the config's)", "Q")] = None
    stress: Annotated[bool, Option("evaluate again under named shifts of the market")] = False
    json: Json = field(default=None, converter=file)
    csv: Annotated[File, Option("write the table as CSV", "FILE")] = field(default=None, converter=file)


@frozen(kw_only=True)
class ReportOrder(Order):
    """Write one HTML page about a run.

    ``out``: default ``report.html`` in the run's folder, or the first of ``report-2.html``, ``report-3.html`` ... that
    does not exist. ``seed`` of the customers: default the run's own, so that episodes are those of its evaluation.
    """

    run: RunPath = field(converter=path, kw_only=False)
    out: Annotated[
        File, Option("file to write (default: report.html in the run's folder)", "FILE.html", short="-o")
    ] = field(default=None, converter=file)
    episodes: Annotated[Count, Option("episodes played for distributions and policies")] = 256
    seed: Annotated[AtLeastZero | None, Option("seed of the customers (default: the run's own)")] = None


@frozen(kw_only=True)
class TournamentOrder(Order):
    """Play every policy against every other; payoffs, ranks, equilibria.

    An entry that is a folder is a run, any other is rules. ``config`` is needed where only rules are given; ``name``
    defaults to one made of what is played; ``most_cells`` bounds line-ups of three and more seats.
    """

    entries: Annotated[Words, Argument("folders of runs, and rules to play along", "RUN|RULES")] = field(
        converter=words, kw_only=False
    )
    config: Annotated[File, Option("the market, where no run says which", "CONFIG")] = field(
        default=None, converter=file
    )
    episodes: Annotated[Count, Option("episodes a cell")] = 1000
    seed: SeedOfCustomers = 0
    checkpoint: Checkpoint = "best"
    name: Annotated[str | None, Option("name of the folder (default: from the entries; the same call goes on)")] = None
    runs: Runs = field(default=Path("runs"), converter=path)
    processes: Processes = None
    ray: Ray = None
    most_cells: Annotated[Count, Option("line-ups played before they are only sampled")] = 1024
    json: Json = field(default=None, converter=file)


@frozen(kw_only=True)
class ExploitOrder(Order):
    """How much more a seat could earn against the others, all at their best evaluation.

    ``learner``: a name, several with commas, or all.
    """

    run: RunPath = field(converter=path, kw_only=False)
    seller: Annotated[str | None, Option("this seat only (default: every seat, and NashConv)")] = None
    learner: Annotated[str | None, Option("dqn, a2c, ddpg, several or all (default: the seat's own)", "NAMES")] = None
    budget: Annotated[Count | None, Option("seller-periods to train a response for", "N")] = None
    seed: Annotated[AtLeastZero, Option("seed of training and customers")] = 0
    episodes: Annotated[Count | None, Option("episodes of the evaluation (default: until precise)")] = None
    device: Device = "auto"
    checkpoint: Checkpoint = "best"
    json: Json = field(default=None, converter=file)


@frozen(kw_only=True)
class DeviateOrder(Order):
    """Force a seller off its policy for one period and watch what the others do.

    Several ``runs`` are training seeds.
    """

    runs: Annotated[Paths, Argument("folders of runs (several: seeds)", "RUN")] = field(converter=paths, kw_only=False)
    seller: Annotated[str, Option("who leaves its policy for one period")]
    to: Annotated[str, Option("what it does", "RULES")] = "best_response"
    periods: Annotated[Count, Option("periods watched afterwards")] = 15
    at: Annotated[AtLeastZero | None, Option("the period of the deviation (default: after the warm-up)")] = None
    episodes: Annotated[Count, Option("episodes a run")] = 512
    seed: SeedOfCustomers = 0
    checkpoint: Checkpoint = "best"
    json: Json = field(default=None, converter=file)
    png: Annotated[File, Option("write the picture here as well", "FILE")] = field(default=None, converter=file)


@frozen(kw_only=True)
class DecideOrder(Order):
    """What a run's seller posts and orders now, from a state of things as they are.

    ``state`` None: only the ``template`` of one is written. ``episodes`` 0: the decision alone, without what it is worth.
    """

    run: RunPath = field(converter=path, kw_only=False)
    state: Annotated[File, Argument("YAML or JSON of one state or a few, CSV or Parquet of many", "STATE")] = field(
        default=None, converter=file, kw_only=False
    )
    seller: Annotated[str | None, Option("whose decision (default: the one that learned)")] = None
    template: Annotated[File, Option("write a state to fill in, and nothing else", "FILE")] = field(
        default=None, converter=file
    )
    rails: Annotated[File, Option("what decisions are kept within (default: the run's rails)", "FILE")] = field(
        default=None, converter=file
    )
    explain: Annotated[bool, Option("say which sentence of the decision tree applies")] = False
    periods: Annotated[Count, Option("how far the decision is played on, to see what it is worth")] = 30
    episodes: Annotated[AtLeastZero, Option("episodes of that (0: none)")] = 512
    seed: SeedOfCustomers = 0
    checkpoint: Checkpoint = "best"
    output: Annotated[File, Option("write decisions as JSON, or as CSV (.csv)", "FILE", short="-o")] = field(
        default=None, converter=file
    )


@frozen(kw_only=True)
class ExportOrder(Order):
    """A run's seller as one ONNX file that decides from raw numbers, without Bazaar."""

    run: RunPath = field(converter=path, kw_only=False)
    seller: Annotated[str | None, Option("who (default: the one that learned)")] = None
    rails: Annotated[File, Option("rails that the contract names (default: the run's rails)", "FILE")] = field(
        default=None, converter=file
    )
    checkpoint: Checkpoint = "best"
    output: Annotated[Path, Option("the folder that is made", "FOLDER", short="-o")] = field(converter=path)


@frozen(kw_only=True)
class ServeOrder(Order):
    """Decisions of runs' sellers over HTTP, each in a log before it is answered.

    ``db`` None: the file ``decisions.db`` in the first run's folder; else a file or an SQLAlchemy URL. ``token`` None: what
    the environment's BAZAAR_TOKEN says, if it says anything.
    """

    runs: Annotated[Paths, Argument("folders of runs, or what `bazaar export` made", "RUN|FOLDER")] = field(
        converter=paths, kw_only=False
    )
    host: Annotated[str, Option("address that it listens at")] = "127.0.0.1"
    port: Annotated[AnyPort, Option("where it listens; 0: wherever it can")] = 8000
    db: Annotated[str | None, Option("log of decisions (default: in the first run)", "FILE|URL")] = None
    mode: Annotated[
        Literal["live", "shadow"], Option("shadow: the fixed rule answers, the policy is logged beside it")
    ] = "live"
    token: Annotated[File, Option("its first line is what every request must bear", "FILE")] = field(
        default=None, converter=file
    )
    rails: Annotated[File, Option("what decisions are kept within (default: the run's rails)", "FILE")] = field(
        default=None, converter=file
    )
    checkpoint: Checkpoint = "best"


@frozen(kw_only=True)
class ShadowOrder(Order):
    """How a policy that was served in shadow differs from the rule that was answered, and what that is worth."""

    db: Annotated[str, Argument("log of `bazaar serve --mode shadow`", "FILE|URL")] = field(kw_only=False)
    seller: Annotated[str | None, Option("whose decisions (default: everybody's)")] = None
    run: Annotated[File, Option("where the run is (default: where it was)", "RUN")] = field(
        default=None, converter=file
    )
    rails: Annotated[File, Option("what decisions were kept within (default: the run's rails)", "FILE")] = field(
        default=None, converter=file
    )
    periods: Annotated[Count, Option("how far states are played on, to see what the difference is worth")] = 30
    episodes: Annotated[AtLeastZero, Option("episodes of that for each of 64 states (0: none)")] = 64
    seed: SeedOfCustomers = 0
    output: Annotated[File, Option("write figures as JSON, or as CSV (.csv)", "FILE", short="-o")] = field(
        default=None, converter=file
    )


@frozen(kw_only=True)
class TheoryOrder(Order):
    """Equilibrium prices, elasticities and exact optima of a market.

    ``gamma`` None: the optimum of average profit, beside the learners' own.
    """

    config: Config = field(converter=path, kw_only=False)
    seat: Annotated[str | None, Option("exact solution of this seller's seat only")] = None
    gamma: Annotated[Discount | None, Option("discount factor of the exact solution (default: average profit)")] = None
    prices: Annotated[Count | None, Option("prices of the exact solution, evenly spaced over the range")] = None
    changes: Changes = field(default=(), converter=words)
    json: Json = field(default=None, converter=file)


@frozen(kw_only=True)
class ReproduceOrder(Order):
    """Repeat a published result.

    The defaults are the paper's. ``delta`` None: 0.95 and 0.35.
    """

    what: Annotated[str, Argument("calvano: algorithmic collusion (2020, AER 110)", "calvano")] = field(kw_only=False)
    sessions: Annotated[Count, Option("tabular sessions")] = 100
    seeds: Annotated[AtLeastZero, Option("training seeds of DQN and of A2C (0: none)")] = 5
    budget: Annotated[Count, Option("seller-periods of each DQN or A2C run", "N")] = 2_000_000
    seed: Annotated[AtLeastZero, Option("seed of everything")] = 0
    delta: Annotated[Discount | None, Option("discount factor of the tables (default: .95 and .35)")] = None
    alpha: Annotated[Share, Option("step size of the tables")] = 0.15
    beta: Annotated[Share, Option("decay of exploration a period, exp(-beta t)")] = 4e-6
    initial: Annotated[Literal["payoff", "zero"], Option("first values of the tables")] = "payoff"
    config: Annotated[File, Option("another market made to order (default: the paper's)", "CONFIG")] = field(
        default=None, converter=file
    )
    changes: Changes = field(default=(), converter=words)
    name: Annotated[str | None, Option("name of the folder (default: what and time)")] = None
    runs: Runs = field(default=Path("runs"), converter=path)
    json: Json = field(default=None, converter=file)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.what not in EXPERIMENTS:
            raise UserError(f"{self.what}: unknown experiment; known: {', '.join(EXPERIMENTS)}")


# ------------------------------------------------------------------------------------------------ sales files

Reading = partial(Option, group="The file")
Demand = partial(Option, group="The demand")
Assumed = partial(Option, group="What a sales file does not tell")


def instruments(given: Words) -> Words:
    """Names of instruments, each once; one word may hold several, separated by commas."""
    return _of(INSTRUMENTS, given)


def accepted(given: Words) -> Words:
    """Names of doubts that are accepted, as :func:`instruments`."""
    return _of((*DOUBTS, OVERWRITE), given)


def doubts(given: Words) -> Words:
    """Names of doubts about an estimate, as :func:`instruments`."""
    return _of(DOUBTS, given)


def _of(known: tuple[str, ...], given: Words) -> Words:
    names = tuple(part.strip() for word in given for part in word.split(","))
    if any(name not in known for name in names) or len(set(names)) < len(names):
        raise ValueError(f"must be of {', '.join(known)}, each at most once, got {','.join(given)!r}")
    return names


@frozen(kw_only=True)
class ReadingOrder(Order):
    """How sales are read: :class:`market.salesfile.options.ReadingOptions` says more of what is decided."""

    columns: Annotated[
        str | None,
        Reading(
            "the file's names, as period=week,seller=brand (quotes around one with a comma), or a YAML file",
            "NAME=COLUMN,...",
        ),
    ] = None
    where: Annotated[Words, Reading("only rows with this value", "COLUMN=VALUE")] = field(default=(), converter=words)
    periods: Annotated[
        str | None,
        Reading(
            "only these periods, both included, or the one; an end may be left out, and a year or a month means all its days",
            "FIRST:LAST",
        ),
    ] = None
    period: Annotated[Span | None, Reading("add up shorter periods to these")] = None
    missing: Annotated[
        Missing,
        Reading("a seller without a row in a period was absent, or there and sold zero (auto: as the file looks)"),
    ] = "auto"
    returns: Annotated[Returns, Reading("negative units are taken off the period's sales, or dropped")] = "net"
    decimal: Annotated[Literal[".", ","] | None, Reading("the mark before decimals (default: told by the file)")] = None
    dates: Annotated[
        DateOrder | None, Reading("how dates are meant that can be read in two ways (default: told by the file)")
    ] = None
    zone: Annotated[
        str | None,
        Constraint(known_zone),
        Reading("days are this place's, such as Europe/Berlin, where times are in UTC or name a zone", "PLACE"),
    ] = None
    encoding: Annotated[
        str | None,
        Constraint(known_encoding),
        Reading("of text, such as cp850 or mac_roman (default: told by the file)", "NAME"),
    ] = None
    add_up: Annotated[bool, Reading("several rows of a seller in a period are parts of its sales")] = False


@frozen(kw_only=True)
class TidySalesOrder(ReadingOrder):
    """Make a sales file of what you have: receipts, exports, workbooks, a database.

    With ``query`` the one of ``raw`` is a database's address as SQLAlchemy has it.
    """

    raw: Annotated[
        Words,
        Argument(
            "CSV, workbook, Parquet, a folder or zip of them (several: below one another), or a database's URL", "RAW"
        ),
    ] = field(converter=words, kw_only=False)
    output: Annotated[Path, Option("sales file to write", "SALES.csv", short="-o")] = field(converter=path)
    query: Annotated[str | None, Reading("what to ask the database", "SQL")] = None
    force: Force = False


@frozen(kw_only=True)
class SalesOrder(ReadingOrder):
    """A sales file, and how it is read."""

    sales: Annotated[Path, Argument("CSV, workbook or Parquet: what bazaar sales takes", "SALES")] = field(
        converter=path, kw_only=False
    )


@frozen(kw_only=True)
class CalibrateOrder(SalesOrder):
    """Fit a market to a sales file, and check it on weeks held out.

    :class:`market.calibration.options.CalibrationOptions` says more of what is decided.
    """

    output: Annotated[Path, Option("YAML file to write", "CONFIG", short="-o")] = field(converter=path)
    validate: Annotated[bool, Option("check the market on weeks that it was not fitted to")] = False
    replay: Annotated[bool, Option("the configuration replays the file's periods (market.tape)")] = False
    at: Annotated[
        Literal["end", "middle"],
        Option("the market of the file's end (trends, latest costs, prices and customers), or of its middle"),
    ] = "end"
    report: Annotated[File, Option("write a page about it", "FILE.html")] = field(default=None, converter=file)
    json: Json = field(default=None, converter=file)
    force: Annotated[
        Words,
        Constraint(accepted),
        Option(
            f"accept doubts, by the names that messages give: {', '.join(DOUBTS)}; {OVERWRITE}: write over files that are "
            "there",
            "NAME,...",
        ),
    ] = field(default=(), converter=words)
    price: Annotated[Literal["auto", "linear", "log"], Demand("form of the price (auto: by fit)")] = "auto"
    nest: Annotated[bool, Demand("plain logit (default: nest if it fits)")] = True
    iv: Annotated[
        Words,
        Constraint(instruments),
        Demand(
            "instruments of the price: cost (a column), rivals, promotions (default: none, least squares)", "NAME,..."
        ),
    ] = field(default=(), converter=words)
    reference_price: Annotated[
        Discount | None,
        Demand("estimate a reference price with this memory, from 0 (last period's price) to below 1", "MEMORY"),
    ] = None
    trend: Annotated[bool, Demand("no linear trend by seller")] = True
    season: Annotated[
        Count | None,
        Demand("periods of a seasonal cycle (default: by the dates, where they hold two cycles; 1: none)", "N"),
    ] = None
    overdispersion: Annotated[bool, Demand("put the common shock into the number of customers (negative binomial)")] = (
        False
    )
    market_size: Annotated[Positive | None, Assumed("what all customers of a period could buy", "UNITS")] = None
    market_size_factor: Annotated[
        AboveOne | None, Assumed("market size as this many times the busiest period (default: 1.5)", "X")
    ] = None
    cost_share: Annotated[
        Share | None,
        Assumed(
            "unit cost as this share of the mean price (default: the file's, else implied by Bertrand competition)",
            "SHARE",
        ),
    ] = None
    inventory: Annotated[Literal["stocked", "make_to_order"], Assumed("whether stock is held")] = "stocked"
    lead_time: Annotated[AtLeastZero, Assumed("of orders", "PERIODS")] = 1
    holding_cost: Annotated[Share, Assumed("share of the unit cost a period", "SHARE")] = 0.05

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.market_size is not None and self.market_size_factor is not None:
            raise UserError("--market-size-factor: is not allowed beside --market-size, one of them decides")


@frozen(kw_only=True)
class ForecastOrder(SalesOrder):
    """Forecast every seller's units from a sales file, with a backtest."""

    horizon: Annotated[Count, Option("periods ahead", "H")]
    by_market: Annotated[bool, Option("a series per seller and market (default: summed)")] = False
    season: Annotated[Count | None, Option("periods of a season (default: by the dates; 1: none)", "N")] = None
    folds: Annotated[Count, Option("folds of the backtest, each of H periods")] = 5
    level: Annotated[Share, Option("of the intervals", "Q")] = 0.9
    json: Json = field(default=None, converter=file)
    csv: Annotated[File, Option("write the forecasts as CSV", "FILE")] = field(default=None, converter=file)
    plot: Annotated[File, Option("draw them: .png, or .html for a page", "FILE")] = field(default=None, converter=file)
    force: Force = False


@frozen(kw_only=True)
class RecordOrder(Order):
    """Write what a market sells as a sales file.

    Every seat plays ``rules``, in ``markets`` parallel markets for ``periods`` (None: all).
    """

    config: Config = field(converter=path, kw_only=False)
    output: Annotated[Path, Option("sales file to write", "FILE.csv", short="-o")] = field(converter=path)
    rules: Annotated[str, Option("what every seat plays (random: prices vary, which calibration needs)", "RULES")] = (
        "random"
    )
    markets: Annotated[Count, Option("parallel markets")] = 4
    periods: Annotated[Count | None, Option("periods (default: the horizon)")] = None
    seed: Annotated[AtLeastZero, Option("seed of the first market")] = 0
    changes: Changes = field(default=(), converter=words)
    force: Force = False


@frozen(kw_only=True)
class UpdateOrder(ReadingOrder):
    """Let a run's seller learn from what has been sold since it was trained; it is replaced only where that is better.

    ``sales`` or ``db``: where that stands; ``rollback`` True: neither, the seller before comes back into force. ``hold_out``
    None: a quarter of the new periods. ``budget`` None: a quarter of the run's.
    """

    run: RunPath = field(converter=path, kw_only=False)
    sales: Annotated[File, Option("sales to date: CSV, workbook or Parquet, as bazaar calibrate takes it", "SALES")] = (
        field(default=None, converter=file)
    )
    db: Annotated[str | None, Option("log of `bazaar serve`: its decisions with their outcomes", "FILE|URL")] = None
    seller: Annotated[str | None, Option("who (default: the one that learned)")] = None
    hold_out: Annotated[Count | None, Option("newest periods held out (default: a quarter of the new ones)", "N")] = (
        None
    )
    rivals: Annotated[
        Literal["current", "recorded"], Option("who the others are: the run's, or what they posted on record")
    ] = "current"
    budget: Annotated[Count | None, Option("seller-periods to learn for (default: a quarter of the run's)", "N")] = None
    seed: Annotated[AtLeastZero, Option("seed of learning and of the customers")] = 0
    device: Device = "auto"
    rollback: Annotated[bool, Option("bring the seller before back into force, and nothing else")] = False
    force: Annotated[
        Words, Constraint(doubts), Option(f"accept doubts of the estimate: {', '.join(DOUBTS)}", "NAME,...")
    ] = field(default=(), converter=words)
    json: Json = field(default=None, converter=file)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        given = [
            name for name, one in (("--sales", self.sales), ("--db", self.db), ("--rollback", self.rollback)) if one
        ]
        if len(given) != 1:
            said = " and ".join(given) or "none"
            raise UserError(f"one of --sales, --db and --rollback says what to do; {said} given")
        usual = {one.name: one.default for one in attrs_fields(ReadingOrder) if one.name not in ("console", "command")}
        if self.sales is None and (odd := [name for name, one in usual.items() if getattr(self, name) != one]):
            raise UserError(f"--{odd[0].replace('_', '-')}: is about a sales file: it goes with --sales")


# ------------------------------------------------------------------------------------------------ around it


@frozen(kw_only=True)
class ConfigsOrder(Order):
    """Name the built-in configurations, or copy one."""

    name: Annotated[
        str | None, Argument("one of them, whose text is shown (default: all, with their stories)", "NAME")
    ] = field(default=None, kw_only=False)
    output: Annotated[File, Option("copy it to this file", "FILE.yaml", short="-o")] = field(
        default=None, converter=file
    )


@frozen(kw_only=True)
class BoardOrder(Order):
    """Open TensorBoard on the runs."""

    runs: Annotated[Path, Argument("folder of the runs", "RUNS")] = field(
        default=Path("runs"), converter=path, kw_only=False
    )
    port: Annotated[Port, Option("where it listens")] = 6006
    host: Annotated[str, Option("localhost: this machine only")] = "localhost"


FIGURES = (
    *("batch", "batch_stockouts", "batch_full", "orange_juice", "parallel_env", "supersuit"),
    *("training", "training_gpu", "training_large", "tianshou_aec"),
)


def figures(given: Words) -> Words:
    """Names of figures that the bench measures."""
    if unknown := [name for name in given if name not in FIGURES]:
        raise ValueError(f"must be of {', '.join(FIGURES)}, got {unknown[0]!r}")
    return given


@frozen(kw_only=True)
class BenchOrder(Order):
    """Measure speed on this machine.

    All figures, or ``only`` some, each for so many ``seconds``.
    """

    json: Json = field(default=None, converter=file)
    seconds: Annotated[Seconds, Option("time for each figure")] = 3.0
    only: Annotated[Words, Constraint(figures), Option("measure only this figure", "KEY")] = field(
        default=(), converter=words
    )
