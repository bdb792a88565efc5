"""The marketplace: sellers who compete for one stream of customers, with stock and prices."""

import os

# numba's threads spin while they wait for one another: beside a busy program two of them were up to 60 times slower
# than one. This must be set before the OpenMP library is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
