"""The demo: a story through a real Kafka, two workers and a monitor, and what they did, seen from outside.

Nothing here is on a worker's path: the demo starts `tidegate worker` as a user would and learns the rest from topics.
session.py is the file to read first.
"""
