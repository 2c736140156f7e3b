"""Tasks: conversions that nobody waits for, run in turn, and webhooks that tell how they ended."""
