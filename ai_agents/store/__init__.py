"""What is kept, and how: models, short transactions, one file per resource. No access rules here."""
