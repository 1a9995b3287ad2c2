"""Verification and identification: search by index, exact scans, recall, failed tries."""
