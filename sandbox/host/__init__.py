"""The trusted side: starts zygotes, speaks to workers."""
