"""What a model may call: tools, their registry, and an executor that turns every outcome into a result."""
