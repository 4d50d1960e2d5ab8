"""Consumers: what follows upon events, beyond tables."""
