"""Releases: ``make release VERSION=1.2.3``, and recorded builds."""
