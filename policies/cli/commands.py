"""The subcommands of `bazaar`: what each takes, and which function does it. Imports what it needs when it is called."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from policies.config.fields import (
    above_one,
    at_least_zero,
    count,
    discount,
    instruments,
    port,
    positive,
    seconds,
    share,
)

Add = Callable[[argparse.ArgumentParser], None]


def parser() -> argparse.ArgumentParser:
    """The command line as argparse sees it."""
    top = argparse.ArgumentParser(prog="bazaar", description="A marketplace of competing sellers.")
    top.add_argument("--version", action="version", version=f"bazaar {_version()}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (add, purpose) in COMMANDS.items():
        add(commands.add_parser(name, help=purpose, description=purpose[0].upper() + purpose[1:] + "."))
    return top


def _version() -> str:
    try:
        return metadata.version("bazaar-market")
    except metadata.PackageNotFoundError:
        return "(not installed as a package)"


# ------------------------------------------------------------------------------------------------ shared options


def _settings(command: argparse.ArgumentParser) -> None:
    command.add_argument("--set", action="append", default=[], metavar="KEY.PATH=VALUE", help="change one setting")


def _seed(command: argparse.ArgumentParser, of: str) -> None:
    command.add_argument("--seed", type=at_least_zero, default=0, help=f"seed of {of} (default 0)")


def _runs(command: argparse.ArgumentParser) -> None:
    command.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the runs (default runs)")


def _checkpoint(command: argparse.ArgumentParser) -> None:
    what = "which saved sellers: at their best (default) or latest evaluation, or what a psro run mixes in the end"
    command.add_argument("--checkpoint", choices=("best", "latest", "mixture"), default="best", help=what)


def _device(command: argparse.ArgumentParser) -> None:
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where networks live")


def _ray(command: argparse.ArgumentParser) -> None:
    what = "run tasks on Ray: auto (RAY_ADDRESS, else a new one on this machine), or an address"
    command.add_argument("--ray", metavar="auto|ADDRESS", help=what)


def _json(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument("--json", type=Path, metavar="FILE", help=f"write {what} as JSON")


# ------------------------------------------------------------------------------------------------ train


def _add_train(train: argparse.ArgumentParser) -> None:
    train.set_defaults(work=_train)
    train.add_argument("config", type=Path, nargs="?", metavar="CONFIG", help="YAML file, as configs/orange_juice.yaml")
    train.add_argument("--budget", type=count, metavar="N", help="seller-periods to train for (default: the config's)")
    _seed(train, "the run")
    train.add_argument("--seeds", type=count, metavar="K", help="train this many seeds, from --seed on, in parallel")
    train.add_argument("--processes", type=count, help="worker processes for --seeds (default: cores)")
    _ray(train)
    _device(train)
    _settings(train)
    train.add_argument("--name", help="name of the run's folder (default: config, seed and time)")
    _runs(train)
    train.set_defaults(seed=None, device=None, runs=None)  # so that --resume sees which were given
    train.add_argument("--resume", type=Path, metavar="RUN", help="go on with a run, or all --seeds, that were stopped")
    train.add_argument(
        "--checkpoint-every", type=seconds, metavar="SECONDS", help="keep the whole run this often (default 60)"
    )
    train.add_argument(
        "--on-nan", choices=("stop", "rollback"), help="a learner diverged: stop (default), or go back at half its lr"
    )


def _train(args: argparse.Namespace) -> None:
    from policies.cli.train import train_command

    train_command(args)


# ------------------------------------------------------------------------------------------------ tune


def _add_tune(tune: argparse.ArgumentParser) -> None:
    tune.set_defaults(work=_tune)
    tune.add_argument(
        "configs", type=Path, nargs="+", metavar="CONFIG", help="YAML files; tune: lists what is searched"
    )
    tune.add_argument(
        "--trials", type=count, required=True, metavar="N", help="trials, those of earlier calls included"
    )
    tune.add_argument("--seeds", type=count, default=1, metavar="K", help="training seeds a trial (default 1)")
    tune.add_argument("--over-seeds", choices=("mean", "worst"), default="mean", help="what counts of them")
    tune.add_argument("--score", choices=("best", "last"), default="best", help="which evaluation of a run counts")
    tune.add_argument("--learner", metavar="NAME", help="this learner in every learning seat, and only its options")
    tune.add_argument("--budget", type=count, metavar="N", help="seller-periods of a run (default: the config's)")
    tune.add_argument("--batch", type=count, default=8, help="trials suggested at a time (default 8)")
    _seed(tune, "suggestions, and the first of training")
    tune.add_argument("--processes", type=count, help="worker processes (default: cores)")
    _ray(tune)
    _device(tune)
    _settings(tune)
    tune.add_argument("--name", help="name of the folder (default: from the configs; the same call goes on)")
    _runs(tune)
    tune.add_argument("--storage", metavar="URL", help="Optuna's store (default: study.db in the folder)")


def _tune(args: argparse.Namespace) -> None:
    from policies.studies.tuning.run import TuneOrder, tune

    names = ("trials", "seeds", "seed", "over_seeds", "score", "learner", "batch", "budget", "processes", "device")
    given = {name: getattr(args, name) for name in (*names, "ray", "name", "runs", "storage")}
    tune(TuneOrder(tuple(args.configs), **given, changes=tuple(args.set), command=args.typed))


# ------------------------------------------------------------------------------------------------ evaluate


def _add_evaluate(evaluate: argparse.ArgumentParser) -> None:
    evaluate.set_defaults(work=_evaluate)
    evaluate.add_argument(
        "subjects", type=Path, nargs="+", metavar="RUN|CONFIG", help="folders of runs (several: seeds), or a YAML file"
    )
    evaluate.add_argument("--seller", help="one seller of a run; for a config, RULES such as nash+base_stock")
    evaluate.add_argument("--seat", help="judge in this seller's seat only")
    evaluate.add_argument("--against", default=None, metavar="RULES|panel", help="what the rivals play")
    evaluate.add_argument("--episodes", type=count, help="play exactly this many (default: until precise)")
    _seed(evaluate, "the customers")
    _checkpoint(evaluate)
    _settings(evaluate)
    evaluate.add_argument("--risk", action="store_true", help="print all measures of risk and service as well")
    evaluate.add_argument("--risk-level", type=share, metavar="Q", help="tail of VaR and CVaR (default: the config's)")
    evaluate.add_argument("--stress", action="store_true", help="judge again under named shifts of the market")
    _json(evaluate, "the table")
    evaluate.add_argument("--csv", type=Path, metavar="FILE", help="write the table as CSV")


def _evaluate(args: argparse.Namespace) -> None:
    from policies.evaluation.entrants import EvaluateOrder
    from policies.evaluation.evaluate import judge

    names = ("seller", "seat", "against", "episodes", "seed", "checkpoint", "risk", "risk_level", "stress")
    options = {name: getattr(args, name) for name in (*names, "json", "csv")}
    judge(EvaluateOrder(tuple(args.subjects), **options, changes=tuple(args.set)))


# ------------------------------------------------------------------------------------------------ theory


def _add_theory(theory: argparse.ArgumentParser) -> None:
    theory.set_defaults(work=_theory)
    theory.add_argument("config", type=Path, metavar="CONFIG", help="YAML file, such as configs/monopoly.yaml")
    theory.add_argument("--seat", help="exact solution of this seller's seat only")
    theory.add_argument(
        "--gamma", type=discount, help="discount factor of the exact solution (default: average profit)"
    )
    theory.add_argument("--prices", type=count, help="prices of the exact solution, evenly spaced over the range")
    _settings(theory)
    _json(theory, "all figures")


def _theory(args: argparse.Namespace) -> None:
    from policies.studies.theory.view import theory

    theory(args.config, tuple(args.set), args.seat, args.gamma, args.prices, args.json)


# ------------------------------------------------------------------------------------------------ calibrate


def _add_calibrate(calibrate: argparse.ArgumentParser) -> None:
    calibrate.set_defaults(work=_calibrate)
    calibrate.add_argument("sales", type=Path, metavar="SALES", help="CSV or Parquet: a row per period and seller")
    calibrate.add_argument("-o", "--output", type=Path, required=True, metavar="CONFIG", help="YAML file to write")
    calibrate.add_argument(
        "--validate", action="store_true", help="check the market on weeks that it was not fitted to"
    )
    what = "the configuration replays the file's periods (market.tape)"
    calibrate.add_argument("--replay", action="store_true", help=what)
    calibrate.add_argument("--report", type=Path, metavar="FILE.html", help="write a page about it")
    _json(calibrate, "everything found")
    calibrate.add_argument("--force", action="store_true", help="overrule doubts, and write over files that are there")
    _add_sales_file(calibrate.add_argument_group("the file"))
    _add_calibrate_model(calibrate.add_argument_group("the demand"))
    _add_calibrate_assumptions(calibrate.add_argument_group("what a sales file does not tell"))


def _add_sales_file(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--columns", metavar="NAME=COLUMN,...", help="the file's names, as period=week,seller=brand")
    group.add_argument("--where", action="append", default=[], metavar="COLUMN=VALUE", help="only rows with this value")
    group.add_argument(
        "--periods",
        metavar="FIRST:LAST",
        help="only these periods, both included; one may be left out, and a year or a month means all its days",
    )


def _add_calibrate_model(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--price", choices=("auto", "linear", "log"), default="auto", help="form (default: by fit)")
    group.add_argument("--no-nest", dest="nest", action="store_false", help="plain logit (default: nest if it fits)")
    what = "instruments of the price: cost (a column), rivals, promotions (default: none, least squares)"
    group.add_argument("--iv", type=instruments, default=(), metavar="NAME,...", help=what)
    what = "estimate a reference price with this memory, from 0 (last period's price) to below 1"
    group.add_argument("--reference-price", type=discount, metavar="MEMORY", help=what)
    group.add_argument("--no-trend", dest="trend", action="store_false", help="no linear trend by seller")
    what = "periods of a seasonal cycle (default: by the dates, where they hold two cycles; 1: none)"
    group.add_argument("--season", type=count, metavar="N", help=what)
    what = "put the common shock into the number of customers (negative binomial)"
    group.add_argument("--overdispersion", action="store_true", help=what)


def _add_calibrate_assumptions(group: argparse._ArgumentGroup) -> None:
    size = group.add_mutually_exclusive_group()
    size.add_argument("--market-size", type=positive, metavar="UNITS", help="what all customers of a period could buy")
    what = "market size as this many times the busiest period (default 1.5)"
    size.add_argument("--market-size-factor", type=above_one, default=1.5, metavar="X", help=what)
    what = "unit cost as this share of the mean price (default: the file's, else implied by Bertrand competition)"
    group.add_argument("--cost-share", type=share, metavar="SHARE", help=what)
    group.add_argument("--inventory", choices=("stocked", "make_to_order"), default="stocked", help="default: stocked")
    group.add_argument("--lead-time", type=at_least_zero, default=1, metavar="PERIODS", help="of orders (default 1)")
    what = "share of the unit cost a period (default 0.05)"
    group.add_argument("--holding-cost", type=share, default=0.05, metavar="SHARE", help=what)


def _calibrate(args: argparse.Namespace) -> None:
    from market.calibration.options import CalibrationOptions
    from policies.sales.calibrate import CalibrateOrder, run

    options = CalibrationOptions(
        form=args.price,
        nest=args.nest,
        instruments=args.iv,
        reference=args.reference_price,
        size_factor=args.market_size_factor,
        size=args.market_size,
        season_length=args.season,
        trend=args.trend,
        gamma=args.overdispersion,
        force=args.force,
        inventory=args.inventory,
        lead_time=args.lead_time,
        holding=args.holding_cost,
        cost_share=args.cost_share,
        replay=args.replay,
    )
    names = ("columns", "periods", "validate", "report", "json")
    given = {name: getattr(args, name) for name in names}
    run(CalibrateOrder(args.sales, args.output, options, where=tuple(args.where), **given))


# ------------------------------------------------------------------------------------------------ record


def _add_record(record: argparse.ArgumentParser) -> None:
    record.set_defaults(work=_record)
    record.add_argument("config", type=Path, metavar="CONFIG", help="YAML file, such as configs/orange_juice.yaml")
    record.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.csv", help="sales file to write")
    what = "what every seat plays (default random: prices vary, which calibration needs)"
    record.add_argument("--rules", default="random", metavar="RULES", help=what)
    record.add_argument("--markets", type=count, default=4, help="parallel markets (default 4)")
    record.add_argument("--periods", type=count, help="periods (default: the horizon)")
    _seed(record, "the first market")
    _settings(record)
    record.add_argument("--force", action="store_true", help="write over a file that is there")


def _record(args: argparse.Namespace) -> None:
    from policies.sales.record import RecordOrder, record

    names = ("config", "output", "rules", "markets", "periods", "seed", "force")
    record(RecordOrder(**{name: getattr(args, name) for name in names}, changes=tuple(args.set)))


# ------------------------------------------------------------------------------------------------ forecast


def _add_forecast(forecast: argparse.ArgumentParser) -> None:
    forecast.set_defaults(work=_forecast)
    forecast.add_argument("sales", type=Path, metavar="SALES", help="CSV or Parquet: a row per period and seller")
    forecast.add_argument("--horizon", type=count, required=True, metavar="H", help="periods ahead")
    _add_sales_file(forecast.add_argument_group("the file"))
    forecast.add_argument("--by-market", action="store_true", help="a series per seller and market (default: summed)")
    forecast.add_argument(
        "--season", type=count, metavar="N", help="periods of a season (default: by the dates; 1: none)"
    )
    forecast.add_argument("--folds", type=count, default=5, help="folds of the backtest, each of H periods (default 5)")
    forecast.add_argument("--level", type=share, default=0.9, metavar="Q", help="of the intervals (default 0.9)")
    _json(forecast, "forecasts and backtest")
    forecast.add_argument("--csv", type=Path, metavar="FILE", help="write the forecasts as CSV")
    forecast.add_argument("--plot", type=Path, metavar="FILE", help="draw them: .png, or .html for a page")
    forecast.add_argument("--force", action="store_true", help="write over files that are there")


def _forecast(args: argparse.Namespace) -> None:
    from policies.sales.forecast import ForecastOrder, forecast

    names = ("columns", "periods", "by_market", "season", "folds", "level", "json", "csv", "plot", "force")
    given = {name: getattr(args, name) for name in names}
    forecast(ForecastOrder(args.sales, args.horizon, where=tuple(args.where), **given))


# ------------------------------------------------------------------------------------------------ tournament


def _add_tournament(tournament: argparse.ArgumentParser) -> None:
    tournament.set_defaults(work=_tournament)
    tournament.add_argument("entries", nargs="+", metavar="RUN|RULES", help="folders of runs, and rules to play along")
    tournament.add_argument("--config", type=Path, help="the market, where no run says which")
    tournament.add_argument("--episodes", type=count, default=1000, help="episodes a cell (default 1000)")
    _seed(tournament, "the customers")
    _checkpoint(tournament)
    tournament.add_argument("--name", help="name of the folder (default: from the entries; the same call goes on)")
    _runs(tournament)
    tournament.add_argument("--processes", type=count, help="worker processes (default: cores)")
    _ray(tournament)
    tournament.add_argument("--most-cells", type=count, help="line-ups played before they are only sampled")
    _json(tournament, "the results")


def _tournament(args: argparse.Namespace) -> None:
    from policies.studies.tournament.run import TournamentOrder, run_tournament

    names = ("config", "episodes", "seed", "checkpoint", "name", "runs", "processes", "ray", "most_cells", "json")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    run_tournament(TournamentOrder(tuple(args.entries), **given))


# ------------------------------------------------------------------------------------------------ exploit


def _add_exploit(exploit: argparse.ArgumentParser) -> None:
    exploit.set_defaults(work=_exploit)
    exploit.add_argument("run", type=Path, metavar="RUN", help="folder of a run")
    exploit.add_argument("--seller", help="this seat only (default: every seat, and NashConv)")
    exploit.add_argument("--learner", metavar="NAMES", help="dqn, a2c, ddpg, several or all (default: the seat's own)")
    exploit.add_argument("--budget", type=count, metavar="N", help="seller-periods to train a response for")
    _seed(exploit, "training and customers")
    exploit.add_argument("--episodes", type=count, help="episodes judged (default: until precise)")
    _device(exploit)
    _checkpoint(exploit)
    _json(exploit, "the figures")


def _exploit(args: argparse.Namespace) -> None:
    from policies.studies.exploit.run import ExploitOrder, exploit

    names = ("seller", "learner", "budget", "seed", "episodes", "device", "checkpoint", "json")
    exploit(ExploitOrder(args.run, **{name: getattr(args, name) for name in names}))


# ------------------------------------------------------------------------------------------------ deviate


def _add_deviate(deviate: argparse.ArgumentParser) -> None:
    deviate.set_defaults(work=_deviate)
    deviate.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders of runs (several: seeds)")
    deviate.add_argument("--seller", required=True, help="who leaves its policy for one period")
    deviate.add_argument("--to", default="best_response", metavar="RULES", help="what it does (default best_response)")
    deviate.add_argument("--periods", type=count, default=15, help="periods watched afterwards (default 15)")
    deviate.add_argument("--at", type=at_least_zero, help="the period of the deviation (default: after the warm-up)")
    deviate.add_argument("--episodes", type=count, help="episodes a run")
    _seed(deviate, "the customers")
    _checkpoint(deviate)
    _json(deviate, "the figures")
    deviate.add_argument("--png", type=Path, metavar="FILE", help="write the picture here as well")


def _deviate(args: argparse.Namespace) -> None:
    from policies.studies.deviate.run import DeviateOrder, deviate

    names = ("seller", "to", "periods", "at", "episodes", "seed", "checkpoint", "json", "png")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    deviate(DeviateOrder(tuple(args.runs), **given))


# ------------------------------------------------------------------------------------------------ report


def _add_report(report: argparse.ArgumentParser) -> None:
    report.set_defaults(work=_report)
    report.add_argument("run", type=Path, metavar="RUN", help="folder of a run")
    report.add_argument("-o", "--out", type=Path, metavar="FILE.html", help="default: report.html in the run's folder")
    report.add_argument("--episodes", type=count, help="episodes played for distributions and policies")
    report.add_argument("--seed", type=at_least_zero, help="seed of the customers (default: the run's own)")


def _report(args: argparse.Namespace) -> None:
    from policies.report.run import ReportOrder, report

    given = {"episodes": args.episodes} if args.episodes else {}
    report(ReportOrder(args.run, args.out, seed=args.seed, **given))


# ------------------------------------------------------------------------------------------------ reproduce


def _add_reproduce(reproduce: argparse.ArgumentParser) -> None:
    reproduce.set_defaults(work=_reproduce)
    reproduce.add_argument("what", metavar="calvano", help="calvano: algorithmic collusion (2020, AER 110)")
    reproduce.add_argument("--sessions", type=count, default=100, help="tabular sessions (default 100)")
    reproduce.add_argument("--seeds", type=at_least_zero, help="training seeds of DQN and of A2C (default 5; 0: none)")
    reproduce.add_argument("--budget", type=count, metavar="N", help="seller-periods of each DQN or A2C run")
    _seed(reproduce, "everything")
    reproduce.add_argument("--delta", type=discount, help="discount factor of the tables (default: .95 and .35)")
    reproduce.add_argument("--alpha", type=share, help="step size of the tables (default .15)")
    reproduce.add_argument("--beta", type=share, help="decay of exploration a period, exp(-beta t) (default 4e-6)")
    reproduce.add_argument("--initial", choices=("payoff", "zero"), help="first values of the tables (default payoff)")
    reproduce.add_argument("--config", type=Path, help="another market made to order (default the paper's)")
    _settings(reproduce)
    reproduce.add_argument("--name", help="name of the folder (default: what and time)")
    _runs(reproduce)
    _json(reproduce, "the figures")


def _reproduce(args: argparse.Namespace) -> None:
    from policies.studies.calvano.run import ReproduceOrder, reproduce

    names = (
        "sessions",
        "seeds",
        "budget",
        "seed",
        "delta",
        "alpha",
        "beta",
        "initial",
        "config",
        "json",
        "name",
        "runs",
    )
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    reproduce(ReproduceOrder(what=args.what, **given, changes=tuple(args.set), command=args.typed))


# ------------------------------------------------------------------------------------------------ board, bench


def _add_board(board: argparse.ArgumentParser) -> None:
    board.set_defaults(work=_board)
    board.add_argument("runs", type=Path, nargs="?", default=Path("runs"), help="folder of the runs (default runs)")
    board.add_argument("--port", type=port, default=6006, help="default 6006")
    board.add_argument("--host", default="localhost", help="default localhost: this machine only")


def _board(args: argparse.Namespace) -> None:
    from policies.cli.board import serve

    serve(args.runs, args.host, args.port)


def _add_bench(bench: argparse.ArgumentParser) -> None:
    bench.set_defaults(work=_bench)
    _json(bench, "the figures")
    bench.add_argument("--seconds", type=seconds, default=3.0, help="time for each figure (default 3)")
    bench.add_argument("--only", action="append", metavar="KEY", help="measure only this figure")


def _bench(args: argparse.Namespace) -> None:
    from policies.studies.bench.run import run_bench

    run_bench(args.seconds, args.only, args.json)


COMMANDS: dict[str, tuple[Add, str]] = {
    "train": (_add_train, "train the learners of a configuration against each other"),
    "tune": (_add_tune, "search options of the learners with Optuna"),
    "evaluate": (_add_evaluate, "judge a seller against fixed competitors on the same customers"),
    "report": (_add_report, "write one HTML page about a run"),
    "tournament": (_add_tournament, "play every policy against every other; payoffs, ranks, equilibria"),
    "exploit": (_add_exploit, "how much more a seat could earn against the others, all at their best evaluation"),
    "deviate": (_add_deviate, "force a seller off its policy for one period and watch what the others do"),
    "theory": (_add_theory, "equilibrium prices, elasticities and exact optima of a market"),
    "calibrate": (_add_calibrate, "fit a market to a sales file, and check it on weeks held out"),
    "record": (_add_record, "write what a market sells as a sales file"),
    "forecast": (_add_forecast, "forecast every seller's units from a sales file, with a backtest"),
    "reproduce": (_add_reproduce, "repeat a published result"),
    "board": (_add_board, "open TensorBoard on the runs"),
    "bench": (_add_bench, "measure speed on this machine"),
}
