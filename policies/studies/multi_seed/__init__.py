"""`bazaar train --seeds`: one configuration trained with several seeds, ``run.train_seeds`` and ``run.resume_seeds``.

``folder`` says what stands where, ``worker`` trains one seed in a process, ``cross_play`` lets the seeds meet.
"""
