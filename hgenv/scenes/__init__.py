"""What is drawn: rooms, furniture, faces, textures."""
