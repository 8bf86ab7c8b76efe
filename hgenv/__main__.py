"""`python -m hgenv` is `hgenv`."""

import sys

from hgenv.cli import main

sys.exit(main())
