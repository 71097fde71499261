"""Configurations: what fields they have, what is legal, and how they are overridden."""

from stawm.configuration.config import Config as Config
from stawm.configuration.config import field_hints as field_hints
from stawm.configuration.config import field_meanings as field_meanings
from stawm.configuration.config import make as make
from stawm.configuration.config import missing as missing
from stawm.configuration.config import plain as plain
from stawm.configuration.config import unknown_fields as unknown_fields
from stawm.configuration.fields import AT_LEAST_ONE as AT_LEAST_ONE
from stawm.configuration.fields import FRACTION as FRACTION
from stawm.configuration.fields import GLIMPSES as GLIMPSES
from stawm.configuration.fields import NON_NEGATIVE as NON_NEGATIVE
from stawm.configuration.fields import POSITIVE as POSITIVE
from stawm.configuration.fields import SIDE as SIDE
from stawm.configuration.fields import SIZE as SIZE
from stawm.configuration.fields import Interval as Interval
from stawm.configuration.fields import coerce as coerce
from stawm.configuration.fields import coerce_all as coerce_all
from stawm.configuration.fields import describe_hint as describe_hint
from stawm.configuration.fields import fits as fits
from stawm.configuration.fields import illegal as illegal
from stawm.configuration.grammar import Spec as Spec
from stawm.configuration.grammar import config_class as config_class
from stawm.configuration.grammar import nest as nest
from stawm.configuration.grammar import resolve as resolve
from stawm.configuration.grammar import split_dotted as split_dotted
