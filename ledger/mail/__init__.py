"""Mails on their way: queued in the transaction of what they tell of, delivered by a gateway."""
