"""One module for each kind of declaration: its keys, and how its map becomes a checked declaration."""
