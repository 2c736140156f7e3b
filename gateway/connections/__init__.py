"""Customers' own storage, as where a conversion's file is from and where its result goes."""
