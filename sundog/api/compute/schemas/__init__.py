"""Bodies and query strings, as Nova takes them, a module for each kind of thing; ``common`` has what several need."""
