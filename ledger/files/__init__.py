"""Stored files: kept for a while where a customer asks, sealed so that nobody else reads them."""
