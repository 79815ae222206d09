"""Stories that run on real or generated data, one folder each."""
