"""RabbitMQ: a queue for each subject (protocol job-item.md, section 3.4), and quorum queues for what is to last."""
