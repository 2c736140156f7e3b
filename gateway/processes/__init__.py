"""Several gateway processes on one machine, behind one address: started, kept, asked together."""
