"""Conformance checks for components: ours, and those of other packages.

Each function runs a list of named checks on a class and raises one `ContractError` that says which
of them it breaks and how.
"""

from stawm.nn.testing.backbone import BACKBONE_CHECKS, check_backbone
from stawm.nn.testing.canvas import CANVAS_CHECKS, check_canvas
from stawm.nn.testing.contract import ContractError
from stawm.nn.testing.locator import LOCATOR_CHECKS, check_locator
from stawm.nn.testing.memory import MEMORY_CHECKS, check_memory

__all__ = [
    "BACKBONE_CHECKS",
    "CANVAS_CHECKS",
    "LOCATOR_CHECKS",
    "MEMORY_CHECKS",
    "ContractError",
    "check_backbone",
    "check_canvas",
    "check_locator",
    "check_memory",
]
