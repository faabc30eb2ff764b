"""Side-by-side benchmarks, each a program of its own: `make bench`."""
