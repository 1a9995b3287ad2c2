"""Likely duplicate pairs: two persons who may be one."""
