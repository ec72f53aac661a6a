"""All that shows what a run found: tables, plots, a page, a terminal."""
