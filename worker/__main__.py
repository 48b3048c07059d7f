"""`python -m worker` is `ai-agents worker`."""

from worker.main import run

if __name__ == "__main__":
    run()
