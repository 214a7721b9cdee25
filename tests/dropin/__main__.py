"""`python -m tests.dropin`."""

import sys

from tests.dropin.command import main

sys.exit(main())
