"""Tests of monitors.alerts."""
