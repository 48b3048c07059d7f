"""What goes in and out, per resource: Create, Update and Read models. Limits come from the settings, by the context."""
