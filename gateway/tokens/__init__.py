"""Tokens: JWTs that speak for an API key, signed by us for minutes or by a customer for hours."""
