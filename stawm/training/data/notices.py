"""What is said while data are read: through the logger ``stawm.data``, once for all processes of a run.

What was taken is information, which Python shows where logging is set up for it; what was left out, or is not what one
may think, is a warning, which it prints anyhow. ``logging.getLogger("stawm.data").setLevel(logging.ERROR)`` ends both.
"""

import logging
import os

LOGGER = logging.getLogger("stawm.data")


def tell(sentence: str) -> None:
    """Say what was taken."""
    _say(logging.INFO, sentence)


def warn(sentence: str) -> None:
    """Say what was left out, or is not what one may think."""
    _say(logging.WARNING, sentence)


def _say(level: int, sentence: str) -> None:
    if os.environ.get("RANK", "0") == "0":
        LOGGER.log(level, "%s", sentence)
