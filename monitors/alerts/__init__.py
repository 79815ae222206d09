"""Alerts of a pipeline: on its objectives, and on what never waits for an objective. catalogue.py is the file to read first."""

from monitors.alerts import scenarios
from monitors.alerts.catalogue import alerts, document, rules
from monitors.alerts.rule import Alert, Recording, Timing
from monitors.alerts.subject import Feed, Subject

__all__ = ["Alert", "Feed", "Recording", "Subject", "Timing", "alerts", "document", "rules", "scenarios"]
