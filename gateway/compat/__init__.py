"""Other services' protocols over our own engine, ledger and limits: for clients that exist."""
