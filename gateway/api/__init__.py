"""The native HTTP API, one module a resource."""
