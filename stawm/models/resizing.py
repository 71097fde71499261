"""How pictures of another size are brought to a model's; needs no torch, so that the command line can ask."""

from typing import Literal, TypeAlias

Resize: TypeAlias = Literal["crop", "squeeze"]
"""The largest part of the model's aspect is cut out of the middle and scaled, or each side is scaled by itself."""
