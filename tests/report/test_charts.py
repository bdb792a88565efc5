"""Charts of the report."""

from __future__ import annotations

import numpy as np

from policies.report.charts import spread_chart
from policies.report.data import Spread, read_run
from tests.helpers.small_run import small_run


def test_profits_that_never_vary_are_not_drawn() -> None:
    run = read_run(small_run())
    player = run.learners[0]
    assert spread_chart(run.spec, [Spread(player, {"left (dqn)": np.full(9, 0.1 + 0.2)})]) is None
    drawn = spread_chart(run.spec, [Spread(player, {"left (dqn)": np.linspace(0, 1, 9)})])
    assert drawn is not None and len(drawn.data) == 1
