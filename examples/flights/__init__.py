"""Will this flight arrive more than 15 minutes late? 336,776 departures of New York's airports in 2013, scored as they fall due."""
