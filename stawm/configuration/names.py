"""What a model and its classes may be called, wherever the names come from.

A model's name can become the name of a folder or of a file, and the name of a class a line of a file. So neither
can lead anywhere else or break a line, also where it came with a checkpoint or a graph of a stranger. What steers a
terminal is taken out where names are printed.
"""

import re

from stawm.errors import InputError, shown

MAX_LENGTH = 100
NAME_FORM = (
    f"at most {MAX_LENGTH} letters, digits, spaces and . _ + -, with a letter, a digit or an underscore at both ends"
)
_NAME = re.compile(r"\w(?:[\w .+-]*\w)?")
_NO_NAME = frozenset(("con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))))


def is_model_name(name: object) -> bool:
    """Return whether a model may be called so; such a name is always the name of one file or folder, never a path.

    Examples:
        >>> is_model_name("stawm-mnist-8.fast"), is_model_name("../x"), is_model_name("/abs"), is_model_name("")
        (True, False, False, False)
    """
    if not isinstance(name, str) or len(name) > MAX_LENGTH or not _NAME.fullmatch(name):
        return False
    return name.isprintable() and name.partition(".")[0].lower() not in _NO_NAME


def as_file_name(name: str) -> str:
    """Return a model's name where it is to name a file or a folder.

    Raises:
        InputError: It is not a legal name, so that it could lead elsewhere.
    """
    if not is_model_name(name):
        raise InputError(f"{shown(name)} cannot name a file or a folder: a name has {NAME_FORM}.")
    return name


def is_class_name(name: object) -> bool:
    """Return whether a class may be called so: something can be seen of it, and it is one line.

    Examples:
        >>> is_class_name("great white shark"), is_class_name("a" + chr(10)), is_class_name(" ")
        (True, False, False)
    """
    if not isinstance(name, str) or name.splitlines() != [name] or not name.strip():
        return False
    return not any("\ud800" <= letter <= "\udfff" for letter in name)  # halves of characters, which nothing encodes
