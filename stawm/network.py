"""Whether the Hugging Face hub can be reached: asked briefly, so that nobody waits for a minute without a network."""

import contextlib
import os
import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit
from urllib.request import getproxies

PATIENCE = 3.0
"""How many seconds an answer may take."""


def hub_is_reachable() -> bool:
    """Return whether the hub answers; it is not asked where it is switched off (``HF_HUB_OFFLINE``).

    Behind a proxy it is taken to be there: only a request through the proxy could tell.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    place = urlsplit(constants.ENDPOINT)
    if place.scheme in getproxies() or not place.hostname:
        return True
    port = place.port or (80 if place.scheme == "http" else 443)
    try:
        with socket.create_connection((place.hostname, port), timeout=PATIENCE):
            return True
    except OSError:
        return False


def unreachable() -> str:
    """Say that the hub cannot be reached, and why where it is switched off."""
    from huggingface_hub import constants

    switched_off = " (HF_HUB_OFFLINE is set)" if constants.HF_HUB_OFFLINE else ""
    return f"the Hugging Face hub, {constants.ENDPOINT}, cannot be reached: there is no network here{switched_off}"


@contextlib.contextmanager
def offline() -> Iterator[None]:
    """Let libraries that ask the hub take what is in its cache, and fail at once where nothing is."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def origin_of(path: str | os.PathLike[str]) -> tuple[str | None, str | None]:
    """Return the repository and the commit that a file of the hub's cache is of; nothing for any other file.

    Examples:
        >>> origin_of(f"hub/models--user--name/snapshots/{'a1' * 20}/model.safetensors")[0]
        'user/name'
    """
    found = re.search(r"(?:models--(\w[\w.-]*?)--(\w[\w.-]*)[/\\])?snapshots[/\\]([0-9a-f]{40})[/\\]", os.fspath(path))
    if found is None:
        return None, None
    return (f"{found[1]}/{found[2]}" if found[1] else None), found[3]
