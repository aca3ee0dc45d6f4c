"""What people may ask for, checked at the door."""
