"""Online features: what a feature is, how its state lies in bytes, and how every event is counted exactly once."""
