"""What follows the log with effects outside of it: in order by key, by lease, with letters for what fails."""
