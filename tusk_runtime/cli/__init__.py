"""`tusk-run` and `tusk`: the command line."""
