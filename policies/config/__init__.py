"""What a YAML configuration may say, and what a command can be asked, as checked models.

``run.read_config`` reads a file into a ``run.RunConfig``; ``learners`` and ``selfplay`` hold the options of each learner
and of each mode of self-play, ``search_space`` what `bazaar tune` searches. ``orders`` declares every command's options
with the types of ``command``.
"""
