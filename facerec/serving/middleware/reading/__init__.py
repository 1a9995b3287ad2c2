"""Reading request messages: in fair order, within a byte budget, and with a bounded number of fields."""
