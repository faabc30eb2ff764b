"""What a person does to a running system, as commands."""
