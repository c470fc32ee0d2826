"""``python -m mms_cli``."""

import sys

from mms_cli.main import main

if __name__ == "__main__":
    sys.exit(main())
