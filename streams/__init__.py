"""What users import to write a pipeline: events, features, labels, in one place.

Importing this module connects to nothing and loads neither Faust nor a Kafka client.
"""

from featurestore.definitions import (
    Aggregate,
    Category,
    Count,
    DayOfWeek,
    Feature,
    HourOfDay,
    Max,
    Mean,
    Min,
    On,
    Ratio,
    Raw,
    Std,
    Sum,
)
from featurestore.events import Event
from scorer.pipeline import Label, Pipeline

__all__ = [
    "Aggregate",
    "Category",
    "Count",
    "DayOfWeek",
    "Event",
    "Feature",
    "HourOfDay",
    "Label",
    "Max",
    "Mean",
    "Min",
    "On",
    "Pipeline",
    "Ratio",
    "Raw",
    "Std",
    "Sum",
]
