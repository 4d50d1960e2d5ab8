"""Pages of documentation: what stands on them, and how they are written as Markdown and as HTML."""
