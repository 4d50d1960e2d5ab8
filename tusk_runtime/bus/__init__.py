"""The bus: events that leave for Kafka."""
