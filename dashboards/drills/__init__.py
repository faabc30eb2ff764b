"""Drills: each alert on its real fault, on a stack of its own with windows of seconds."""
