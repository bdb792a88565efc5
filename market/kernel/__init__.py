"""The marketplace's arithmetic as scalar functions that numba compiles: one period of one market, and what is built on it.

``period`` reads as the model does and calls the other files in the order of events; ``loops`` and ``qlearning`` have
the functions that Python calls, ``observe`` the sources of what sellers see, ``jit`` how all are compiled.
"""
