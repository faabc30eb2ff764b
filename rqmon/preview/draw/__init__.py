"""How panels look: options for the charts, and HTML for the rest."""
