"""Electronic signatures in PDF documents: made with a customer's own key, and looked at."""
