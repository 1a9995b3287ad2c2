"""People and their faces: enrollment and its policy, reading, erasing, and a person's export."""
