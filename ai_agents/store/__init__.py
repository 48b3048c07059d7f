"""The database: tables, short transactions, and one file per resource. It does not check rights."""
