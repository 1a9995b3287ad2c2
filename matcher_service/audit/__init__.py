"""What was done, by whom and when: changes in their own transactions, decisions in batches."""
