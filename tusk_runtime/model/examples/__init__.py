"""Short examples of mistakes, of sections and of keys, for `tusk explain` and the pages."""
