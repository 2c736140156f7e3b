"""Customers' credentials for their own storage, sealed, and destroyed with their account."""
