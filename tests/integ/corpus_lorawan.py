"""Routes of LoRaWAN, home automation, meters and industry for the corpus test: see corpus.py."""
from corpus import Any, Device, Metric, NotMet, Point, Route, Selects, Time  # noqa: F401

ROUTES = []
