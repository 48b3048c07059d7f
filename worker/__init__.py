"""The Celery process: it runs background jobs where there is a Redis to queue them in."""
