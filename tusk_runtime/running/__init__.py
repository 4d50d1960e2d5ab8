"""An application that runs: its parts, their start and stop, and how an edit reaches them."""
