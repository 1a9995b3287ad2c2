"""Attacks on a running pair, each bounded, on loopback, with a figure; `make soak-hostile` runs them all."""
