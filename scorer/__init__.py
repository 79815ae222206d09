"""Models and their lives: training, the registry, what runs where, scoring and learning."""
