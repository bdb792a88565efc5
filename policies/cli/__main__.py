"""``python -m policies.cli``."""

import sys

from policies.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
