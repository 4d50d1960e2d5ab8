"""Says in words what is wrong with a text, and what to write instead."""
