"""What measured processes leave behind, and the result that is made of it."""
