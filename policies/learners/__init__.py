"""Learning algorithms, Tianshou's, one file each: ``dqn``, ``ddpg``, ``a2c``, and ``recurrent`` for those with a cell.

``base.Learner`` is what self-play drives, ``registry.build_learner`` makes one and ``registry.register_learner`` adds one
of your own; ``build.make_learner`` makes that of a configuration's seat. What they share: ``memory`` (replay),
``updates``, ``rewards``, ``optim``.
"""
