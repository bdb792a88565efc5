"""The market as environments: PettingZoo (:func:`parallel.parallel_env`, :func:`parallel.env`), one seat for Gymnasium
(:class:`gym.SeatEnv`), one seat of many markets for Tianshou (:class:`vector.SeatVectorEnv`), and one policy in every
seat through SuperSuit (:class:`supersuit.SharedVectorEnv`).
"""
