"""The three topics: departures are scored when they fall due, arrivals carry the label and feed features, weather feeds features.

Every event's time is the moment it was known, not the moment it is about; dataset.py says how each is derived. Bounds are
what physics and operations allow, with room above what 2013 saw; README.md counts the records they reject.
"""

from typing import Annotated

from msgspec import Meta

from streams import Event

Minutes = Annotated[float, Meta(ge=0, le=1_440)]


class Departure(Event, topic="flights.departures", key="tailnum", id="flight_id", time="scheduled_at"):
    """A flight at its scheduled departure: the schedule and the aircraft assigned to it, nothing of what then happened."""

    flight_id: str
    scheduled_at: float  # seconds since the epoch, UTC
    carrier: str
    origin: str
    dest: str
    tailnum: str | None  # None: no aircraft on record (only flights that were cancelled)
    distance: Annotated[float, Meta(ge=0, le=12_000)]  # miles
    scheduled_minutes: Minutes  # gate to gate
    local_hour: Annotated[float, Meta(ge=0, lt=24)]  # of scheduled departure, at the origin
    plane_year: Annotated[float, Meta(ge=1_930, le=2_030)] | None  # None: the aircraft is not in the register
    seats: Annotated[float, Meta(ge=1, le=900)] | None


class Arrival(Event, topic="flights.arrivals", key="tailnum", id="flight_id", time="landed_at"):
    """A flight at its destination's gate. Cancelled and diverted flights have none."""

    flight_id: str
    landed_at: float  # seconds since the epoch, UTC
    carrier: str
    origin: str
    dest: str
    tailnum: str
    delay_minutes: Annotated[float, Meta(ge=-240, le=2_880)]  # against the schedule; negative: early


class Weather(Event, topic="flights.weather", key="origin", id="observation_id", time="available_at"):
    """One hour's observation at an airport, at the end of that hour, when its last report is out."""

    observation_id: str
    available_at: float  # seconds since the epoch, UTC
    origin: str
    temperature: Annotated[float, Meta(ge=-60, le=140)] | None  # degrees Fahrenheit
    humidity: Annotated[float, Meta(ge=0, le=100)] | None  # per cent
    wind_speed: Annotated[float, Meta(ge=0, le=150)] | None  # miles an hour
    precipitation: Annotated[float, Meta(ge=0, le=10)]  # inches in the hour
    pressure: Annotated[float, Meta(ge=850, le=1_100)] | None  # millibars at sea level
    visibility: Annotated[float, Meta(ge=0, le=100)]  # miles
