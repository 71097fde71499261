"""The tasks of a trial."""

from stawm.trial.tasks.base import Episodes as Episodes
from stawm.trial.tasks.base import Task as Task
from stawm.trial.tasks.by_content import Content as Content
from stawm.trial.tasks.by_content import Neighbours as Neighbours
from stawm.trial.tasks.by_content import OneShot as OneShot
from stawm.trial.tasks.by_place import Association as Association
from stawm.trial.tasks.by_place import Changes as Changes
from stawm.trial.tasks.by_place import Overload as Overload
from stawm.trial.tasks.by_place import Places as Places
from stawm.trial.tasks.by_place import Recall as Recall
from stawm.trial.tasks.by_place import Rewriting as Rewriting

TASKS: tuple[Task, ...] = (
    Places(),
    Overload(),
    Association(),
    Recall(),
    Rewriting(),
    Content(),
    Changes(),
    Neighbours(),
    OneShot(),
)
"""The tasks of a trial, in their order."""
