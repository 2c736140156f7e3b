"""Accounts and the API keys that speak for them."""
