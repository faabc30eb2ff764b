"""The building blocks of dashboards: queries, panels, variables and looks."""
