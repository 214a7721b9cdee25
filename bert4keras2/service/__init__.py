"""A saved task as a web service: JSON over HTTP, and a page where one types a text and sees the answer drawn."""

from bert4keras2.service.web import task_service

__all__ = ["task_service"]
