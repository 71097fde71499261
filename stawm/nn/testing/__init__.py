"""Conformance checks for components: ours, and those of other packages.

Each function runs a list of named checks on a class and raises one `ContractError` that says which
of them it breaks and how.
"""

from stawm.nn.testing.backbone import BACKBONE_CHECKS as BACKBONE_CHECKS
from stawm.nn.testing.backbone import check_backbone as check_backbone
from stawm.nn.testing.canvas import CANVAS_CHECKS as CANVAS_CHECKS
from stawm.nn.testing.canvas import check_canvas as check_canvas
from stawm.nn.testing.contract import ContractError as ContractError
from stawm.nn.testing.head import HEAD_CHECKS as HEAD_CHECKS
from stawm.nn.testing.head import check_head as check_head
from stawm.nn.testing.locator import LOCATOR_CHECKS as LOCATOR_CHECKS
from stawm.nn.testing.locator import check_locator as check_locator
from stawm.nn.testing.memory import MEMORY_CHECKS as MEMORY_CHECKS
from stawm.nn.testing.memory import check_memory as check_memory
from stawm.nn.testing.policy import POLICY_CHECKS as POLICY_CHECKS
from stawm.nn.testing.policy import check_policy as check_policy
