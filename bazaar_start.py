"""The command `bazaar`, before anything of it is imported: its version, and whether its packages are what Python finds."""

import gc
import os
import sys
from importlib.util import find_spec

VERSION = "0.1.0"
HOME = os.path.dirname(os.path.realpath(__file__))
PACKAGES = ("market", "policies")


def main() -> int:
    """Run the command; returns the exit status, 2 where a folder of the user's stands before one of Bazaar's."""
    for package in PACKAGES:
        found, own = _place(package), os.path.join(HOME, package)
        if found != own:
            why = f"stands before Bazaar's own {own}: rename it, or leave its folder out of PYTHONPATH"
            print(f"bazaar: {found}: {why}", file=sys.stderr)
            return 2
    if sys.argv[1:] == ["--version"]:
        print(f"bazaar {VERSION}")
        return 0
    gc.disable()  # until the command is carried out: what is imported stays, and no search finds garbage in it
    from policies.cli.main import main

    return main()


def _place(package: str) -> str | None:
    """The folder, or the file, that importing a package would read."""
    spec = find_spec(package)
    if spec is None:
        return None
    places = [*(spec.submodule_search_locations or []), spec.origin]
    return os.path.realpath(str(places[0]))


if __name__ == "__main__":
    sys.exit(main())
