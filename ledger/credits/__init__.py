"""Credits: operations, the writer that batches them, debits, leases, the sweeper, entries."""
