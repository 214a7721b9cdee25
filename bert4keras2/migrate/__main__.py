"""`python -m bert4keras2.migrate`."""

import sys

from bert4keras2.migrate.command import main

sys.exit(main())
