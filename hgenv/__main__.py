"""`python -m hgenv` is `hgenv`."""

import sys

from hgenv.cli.main import main

sys.exit(main())
