"""The service against what it says of itself."""
