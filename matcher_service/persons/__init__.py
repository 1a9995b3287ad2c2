"""People and their faces: enrollment and its policy, reading, erasing, one person's export."""
