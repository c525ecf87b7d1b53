"""What makes the pages: of the package, of the record of the Go module, and the pictures."""
