"""What tells people when a model goes wrong: metrics now; drift, quality, performance and lag verdicts on the same footing."""
