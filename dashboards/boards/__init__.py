"""The dashboards, one module each, named by its uid."""
