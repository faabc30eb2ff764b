"""Starting, stopping and showing the stack, as containers or as plain processes."""
