"""One training run, `bazaar train` and `bazaar train --resume`: ``train.train`` and ``resume.resume``.

``run.TrainingRun`` is the run, ``loop`` plays, learns and evaluates it, ``checkpointing`` keeps its whole state,
``divergence`` notices learners that are past saving, ``tracking`` writes TensorBoard's event files and metrics.csv.
"""
