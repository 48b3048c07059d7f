"""The models of answers, a file for each kind of resource."""
