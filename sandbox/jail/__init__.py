"""The untrusted side: what runs in the zygote and in its workers."""
