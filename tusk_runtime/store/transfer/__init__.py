"""All commands and events of a store as lines of JSON, from any store into any other; nothing else of it."""
