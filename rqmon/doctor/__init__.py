"""What is wrong with the live system: facts are read once, and pure checks turn them into findings."""
