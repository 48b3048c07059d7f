"""What the fault tests are made of: processes to kill, connections to cut, readers that check, and load."""
