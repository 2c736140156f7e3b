"""Waiting for a descriptor without blocking the loop, for those who may not know the sandbox."""

from sandbox.host.pipes import readable

__all__ = ["readable"]
