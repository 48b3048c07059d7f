"""Moving agents and threads between installations, and from OpenAI's Assistants, as lines of JSON."""
