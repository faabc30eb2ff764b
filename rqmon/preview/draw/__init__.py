"""How panels look: chart options for charts, HTML for everything else."""
