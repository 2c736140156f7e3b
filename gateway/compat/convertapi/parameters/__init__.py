"""ConvertAPI's converters and parameters in our words, as tables; `resolve.py` reads them."""
