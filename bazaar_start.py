"""The command `bazaar`, before anything of it is imported: whether its packages are what Python will find."""

import sys
from importlib.util import find_spec
from pathlib import Path

HOME = Path(__file__).resolve().parent
PACKAGES = ("market", "policies")


def main() -> int:
    """Run the command; returns the exit status, 2 where a folder of the user's stands before one of Bazaar's."""
    for package in PACKAGES:
        found, own = _place(package), HOME / package
        if found != own:
            why = f"stands before Bazaar's own {own}: rename it, or leave its folder out of PYTHONPATH"
            print(f"bazaar: {found}: {why}", file=sys.stderr)
            return 2
    from policies.cli.main import main

    return main()


def _place(package: str) -> Path | None:
    """The folder, or the file, that importing a package would read."""
    spec = find_spec(package)
    if spec is None:
        return None
    places = [*(spec.submodule_search_locations or []), spec.origin]
    return Path(str(places[0])).resolve()


if __name__ == "__main__":
    sys.exit(main())
