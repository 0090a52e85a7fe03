"""The broker that the settings name. Its client library is imported here, and no other one."""

from __future__ import annotations

from job_item.connections import NatsConnection, RabbitmqConnection, RedisConnection
from worker.brokers.seam import Broker


def choose_broker(settings: NatsConnection | RabbitmqConnection | RedisConnection, project: str = "") -> Broker:
    """Make the adapter; nothing is connected yet. `project` is whose dead letters it knows."""
    match settings:
        case NatsConnection():
            from worker.brokers.nats.broker import NatsBroker

            return NatsBroker(settings, project)
        case RabbitmqConnection():
            from worker.brokers.rabbitmq.broker import RabbitmqBroker

            return RabbitmqBroker(settings, project)
        case RedisConnection():
            from worker.brokers.redis.broker import RedisBroker

            return RedisBroker(settings, project)
