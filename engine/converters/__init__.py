"""Converter families: one folder each, loaded only inside a zygote."""
