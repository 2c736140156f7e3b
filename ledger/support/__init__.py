"""What people ask us, what we answer, and what went wrong here."""
