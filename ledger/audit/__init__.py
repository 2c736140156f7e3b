"""The audit records: what operators did to the running service, each row chained to the last."""
