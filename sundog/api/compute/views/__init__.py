"""From records to what is told of them, a module for each kind of thing; ``common`` has what several need."""
