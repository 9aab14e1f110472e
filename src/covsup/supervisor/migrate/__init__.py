"""What somebody who comes from coverage.py or pytest-cov has to change."""
