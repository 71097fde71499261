"""What is said beside the answer of a command, on stderr."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def notices(*, quiet: bool) -> Iterator[None]:
    """Print what the package's loggers say while a command runs; nothing where a program reads the answer."""
    logger = logging.getLogger("stawm")
    before, handler = logger.level, logging.NullHandler() if quiet else logging.StreamHandler(sys.stderr)
    logger.addHandler(handler)
    logger.setLevel(logging.CRITICAL if quiet else logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
