"""Pairs of persons who may be one."""
