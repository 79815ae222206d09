"""Feature states in Redis without Kafka: what they cost by their number and by windows, and what memory they take."""
