"""A Django app: the commands of manage.py, and database connections closed around jobs."""
