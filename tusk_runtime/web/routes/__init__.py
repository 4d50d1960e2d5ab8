"""The routes, a module for each line of the HTTP table."""
