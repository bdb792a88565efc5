"""The sellers, and what is done with them: training, evaluation, studies, sales files; what the command `bazaar` does.

Every command is a function here, of the same name and with the same options, which returns what it found and prints
only where it is given a ``console`` (of rich): ``evaluate("runs/first", seller="left").to_frame()``. Options that can
be given several times, such as ``--set`` (``changes``), take one value or several; a path may be text. `bazaar report`
is :func:`write_report`, `bazaar sales` :func:`tidy_sales`, `bazaar train` also :func:`train_seeds`, :func:`resume` and :func:`resume_seeds`. Beside them
stand what builds and plays sellers, and what adds rules and learners of one's own. A name is imported when it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from policies.deployment.export import export as export
    from policies.deployment.run import decide as decide
    from policies.evaluation.evaluate import evaluate as evaluate
    from policies.evaluation.run_sellers import Run as Run
    from policies.evaluation.run_sellers import load_run as load_run
    from policies.learners.registry import register_learner as register_learner
    from policies.report.run import write_report as write_report
    from policies.sales.calibrate import calibrate as calibrate
    from policies.sales.forecast import forecast as forecast
    from policies.sales.record import record as record
    from policies.sales.tidy import tidy_sales as tidy_sales
    from policies.sellers.rollout import play
    from policies.sellers.rules.compose import register_rule as register_rule
    from policies.sellers.rules.level_search import build
    from policies.serving.run import serve as serve
    from policies.serving.shadow import shadow as shadow
    from policies.studies.bench.run import bench as bench
    from policies.studies.calvano.run import reproduce as reproduce
    from policies.studies.deviate.run import deviate as deviate
    from policies.studies.exploit.run import exploit as exploit
    from policies.studies.multi_seed.run import resume_seeds as resume_seeds
    from policies.studies.multi_seed.run import train_seeds as train_seeds
    from policies.studies.theory.run import theory as theory
    from policies.studies.tournament.run import tournament as tournament
    from policies.studies.tuning.run import tune as tune
    from policies.training.resume import resume as resume
    from policies.training.train import train as train
    from policies.updating.run import update as update

    rollout, build_rule = play, build

_PLACES = {
    "train": "policies.training.train:train",
    "resume": "policies.training.resume:resume",
    "train_seeds": "policies.studies.multi_seed.run:train_seeds",
    "resume_seeds": "policies.studies.multi_seed.run:resume_seeds",
    "Run": "policies.evaluation.run_sellers:Run",
    "load_run": "policies.evaluation.run_sellers:load_run",
    "evaluate": "policies.evaluation.evaluate:evaluate",
    "write_report": "policies.report.run:write_report",
    "tournament": "policies.studies.tournament.run:tournament",
    "exploit": "policies.studies.exploit.run:exploit",
    "deviate": "policies.studies.deviate.run:deviate",
    "decide": "policies.deployment.run:decide",
    "export": "policies.deployment.export:export",
    "serve": "policies.serving.run:serve",
    "shadow": "policies.serving.shadow:shadow",
    "update": "policies.updating.run:update",
    "theory": "policies.studies.theory.run:theory",
    "tune": "policies.studies.tuning.run:tune",
    "record": "policies.sales.record:record",
    "tidy_sales": "policies.sales.tidy:tidy_sales",
    "calibrate": "policies.sales.calibrate:calibrate",
    "forecast": "policies.sales.forecast:forecast",
    "reproduce": "policies.studies.calvano.run:reproduce",
    "bench": "policies.studies.bench.run:bench",
    "build_rule": "policies.sellers.rules.level_search:build",
    "rollout": "policies.sellers.rollout:play",
    "register_rule": "policies.sellers.rules.compose:register_rule",
    "register_learner": "policies.learners.registry:register_learner",
}
__all__ = list(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _PLACES[name].partition(":")
    found = globals()[name] = getattr(import_module(module), attribute)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
