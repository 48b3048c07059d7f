"""Files that messages refer to: what kind they are, where they are stored, their text, and how a model gets them."""
