"""`bazaar bench`: how fast market and training are on this machine, ``run.bench``.

``workloads`` are what is measured, ``tianshou_route`` the way through Tianshou's own environments that it is compared with.
"""
