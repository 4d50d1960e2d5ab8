"""Document → Application: what a file declares, read, cross-checked, and ready to be wired."""
