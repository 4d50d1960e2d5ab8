"""Where events, the ledger of commands and read models are kept."""
