"""The Celery worker, which carries out background jobs where the service has a Redis."""
