"""Redis: PUBLISH and SUBSCRIBE with locks (protocol job-item.md, section 3.5), and streams for what is to last."""
