"""`python -m powerpi` is `powerpi`."""

import sys

from powerpi.cli import main

sys.exit(main())
