"""Drift of one window against a reference: fixed bins, statistics with a calibrated null, and when to say so."""
