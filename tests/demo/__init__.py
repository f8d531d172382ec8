"""A person in a real browser and a scripted agent talk through a gateway, and both ends are measured."""
