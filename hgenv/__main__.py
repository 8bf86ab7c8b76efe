"""`python -m hgenv` is `hgenv`."""

import sys

if not sys.flags.safe_path:  # the current folder comes last: a file of the user's there may have any name
    sys.path.append(sys.path.pop(0))

from hgenv.cli.main import main

sys.exit(main())
