"""The door for clients of OpenAI's Responses and Conversations."""
