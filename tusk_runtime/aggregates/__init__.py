"""Commands → events: states folded from events, commands decided on them, decisions written in groups."""
