"""What dashboards are built from: queries, panels, variables and looks."""
