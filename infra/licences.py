"""List the licences of what is deployed, as docs/licences.md: ``python infra/licences.py``."""

from __future__ import annotations

import sys

from check import ROOT, licences


def main() -> int:
    """Print the page."""
    lines = [
        "# Licences of what is deployed",
        "",
        "Made by `make sbom` from requirements.txt and the packages' own metadata; `make check` refuses a licence that",
        "is not MIT, Apache, BSD, ISC, PSF or MPL. The project itself is under the MIT licence (LICENSE).",
        "",
        "| package | version | licence |",
        "|---|---|---|",
        *(f"| {name} | {version} | {licence} |" for name, version, licence in sorted(licences(ROOT))),
    ]
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
