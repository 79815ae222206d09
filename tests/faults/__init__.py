"""Faults put into a running Tidegate on the real Apache Kafka and Redis, and the oracle that says whether its promises held.

python -m tests.faults --list
"""
