"""The stack as plain processes under supervisor."""
