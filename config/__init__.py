"""Wiring only: settings, addresses, the clock, and the embedded stack."""
