"""The Model Context Protocol: agents are tools, a call is a message, an approval is asked of the client's person."""
