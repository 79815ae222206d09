"""Tidegate's version, read by setup.cfg and recorded with every prediction."""

__version__ = "0.1.0"
