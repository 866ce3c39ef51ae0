"""What may happen to a server, as tables; nothing here acts."""
