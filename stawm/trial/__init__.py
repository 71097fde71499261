"""A memory on trial: tasks at its own interface, beside the built-in rules and controls."""

from stawm.trial.learner import Recipe as Recipe
from stawm.trial.memory import try_memory as try_memory
from stawm.trial.page import Trial as Trial
from stawm.trial.page import picture as picture
from stawm.trial.tasks import TASKS as TASKS
from stawm.trial.tasks import Task as Task
