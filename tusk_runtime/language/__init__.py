"""From text to a document: knows the syntax, and nothing of events."""
