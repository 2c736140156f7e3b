"""How much one address, key or account may ask for, and how fast."""
