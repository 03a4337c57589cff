"""Everything that is looked at: pages, contact sheets, overlays, plots, tables."""
