"""Will this flight arrive more than 15 minutes late? Every departure from New York in 2013, scored when it falls due."""
