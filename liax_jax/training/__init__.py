"""The training program: state, step, sharding and loop."""
