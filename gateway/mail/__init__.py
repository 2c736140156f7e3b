"""Mails: written from templates, handed to a mail server, tried again while it is away."""
