"""What watches the queues: configuration of others' programs, and our wrappers around them."""
