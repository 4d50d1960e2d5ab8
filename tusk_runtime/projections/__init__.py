"""Events → rows: each projection follows the log, and its checkpoint commits with its effect."""
