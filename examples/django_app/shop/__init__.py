"""A Django site in one package: its templates are measured by django_coverage_plugin."""
