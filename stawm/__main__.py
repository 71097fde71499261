"""``python -m stawm`` is the command ``stawm``."""

import sys

from stawm.cli import main

sys.exit(main())
