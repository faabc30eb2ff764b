"""Rules for the generated JSON."""
