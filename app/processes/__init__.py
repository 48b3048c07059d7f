"""Several processes of the service on one port: `ai-agents serve --workers N`.

`parent.py` starts and keeps them, `child.py` is one of them, `siblings.py` lets any of them tell the metrics of all,
and `told.py` is what a parent tells a child at its start.
"""
