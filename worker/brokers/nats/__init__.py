"""NATS: core publish and subscribe (protocol job-item.md, section 3.3), and JetStream for what is to last."""
