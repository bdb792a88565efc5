"""What stays on disk, and what goes on from there.

``run_folder`` makes, describes and reads a run's folder (``choose_folder``, ``open_run``, ``saved_sellers``);
``training_state.RunState`` keeps two checked generations of the whole state of a run; ``work_folder.WorkFolder`` is a
folder that tuning, tournaments and several seeds go on with, ``work_folder.locked`` lets one process work in a folder.
"""
