"""Makes the code of calls whose types, or what is written out in them, decide what runs."""
