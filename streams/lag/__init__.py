"""`tidegate lag`: how far consumer groups are behind, seen from outside; no Tidegate worker is needed."""
