"""Compute: servers and what they are made of, hosts and what is on them."""
