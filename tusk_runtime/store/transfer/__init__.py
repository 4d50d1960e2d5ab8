"""Everything that a store holds as lines of JSON, from any store into any other."""
