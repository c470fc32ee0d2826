"""After ``azd provision``: says what is left for an administrator of the directory."""

from __future__ import annotations

import sys


def main() -> int:
    """Print the commands that remain."""
    print("The resources stand. The identity may not read anything yet; an administrator of the directory runs:")
    print("  python infra/rights/rights.py register --azd   (the web page's address)")
    print("  python infra/rights/rights.py grant --azd")
    print("and then, to see what is in force:  mms login --from azd  and  mms doctor")
    return 0


if __name__ == "__main__":
    sys.exit(main())
