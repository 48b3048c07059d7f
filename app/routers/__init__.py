"""The routes, one file per subject: each reads the request, calls one use case and says how that is answered."""
