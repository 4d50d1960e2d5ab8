"""Questions to the read models: declared queries, compiled to SQL."""
